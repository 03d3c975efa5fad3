"""Numbers over plain arrays: agreement, statistics, metrics."""

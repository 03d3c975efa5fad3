"""One engine a task, device and precision, and the cache of results."""

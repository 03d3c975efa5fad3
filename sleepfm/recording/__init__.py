"""What came out of the sleep lab: files, channels, quality, scorings."""

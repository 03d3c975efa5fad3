"""Every background job in one table, each in its own process."""

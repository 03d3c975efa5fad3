"""Who may use this installation, how it is set up, and keeping it safe: accounts, audit, settings, backup."""

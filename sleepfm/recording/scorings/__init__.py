"""Scorings and events, one file a format."""

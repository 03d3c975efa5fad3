"""Simulated polysomnography, marked as simulated wherever it goes."""

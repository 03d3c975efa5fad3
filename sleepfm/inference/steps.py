"""The steps of a run by name; light, for who only asks for them."""

from __future__ import annotations

STEPS = ("convert", "embed", "stage", "events", "statistics", "risk", "report")
"""In the order of their work."""

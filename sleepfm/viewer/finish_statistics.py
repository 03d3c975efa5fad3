"""The statistics of a night as a table: numbers, intervals, definitions, and what others count."""

from __future__ import annotations

from sleepfm.analysis.sleep_statistics import NightStatistics


def show_statistics(statistics: NightStatistics, *, study: str) -> None:
    """Draw the statistics of a study with the buttons that export them."""
    raise NotImplementedError

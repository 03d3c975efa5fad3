"""A table as a CSV file to download: names of people, sites and conditions come from files, and a spreadsheet may open it."""

from __future__ import annotations

import pandas as pd

from sleepfm.recording.scorings.tables import spreadsheet_safe


def table_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV, its texts so that no spreadsheet takes one for a formula; numbers stay numbers."""
    safe = table.map(_cell).rename(columns=_cell)
    text: str = safe.to_csv(index=False, lineterminator="\n")
    return text


def _cell(value: object) -> object:
    return spreadsheet_safe(value) if isinstance(value, str) else value

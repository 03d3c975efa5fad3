"""The table of statistics, and what its buttons write."""

from __future__ import annotations

import csv
import io

import numpy as np

from sleepfm.analysis.sleep_statistics import NightStatistics, night_statistics
from sleepfm.recording.scorings.scoring import Event
from sleepfm.signals.vitals import Vitals
from sleepfm.viewer.finish_statistics import COLUMNS, statistics_csv, statistics_table

STAGES = np.repeat(np.array([0, 2, 4, 0], np.int8), [10, 60, 20, 10])


def statistics(*, sure: float | None = None, position: str = "Supine") -> NightStatistics:
    """Return the statistics of a night, with intervals when a model is so sure."""
    shares = None
    if sure is not None:
        shares = np.full((len(STAGES), 5), (1 - sure) / 4)
        shares[np.arange(len(STAGES)), STAGES] = sure
    signal = np.full(3000, 95, np.float32)
    vitals = Vitals(signal, signal, np.ones(3000, np.int16), {1: position}, np.zeros(0))
    return night_statistics(STAGES, events=[Event(900, 915, "Hypopnea")], vitals=vitals, probabilities=shares)


def test_every_number_has_its_row_with_value_interval_and_definition() -> None:
    found = statistics(sure=0.8)
    table = statistics_table(found)
    numbers = [name.replace("\\", "") for name in table["Number"]]
    assert [item.name for item in found.items] == [name for name in numbers if not name.startswith("**")]
    assert [name for name in numbers if name.startswith("**")] == [
        "**Sleep**", "**Breathing**", "**Oxygen**", "**Arousals**", "**Limbs**", "**Heart**",
    ]  # fmt: skip
    tst = table.iloc[numbers.index("Total sleep time (TST)")].str.replace("\\", "").str.replace("\u00a0", " ")
    assert tst["Value"] == "**40.0 min**"
    assert tst["95\u00a0%\u00a0interval"] == found["tst"].interval != ""
    assert tst["What is counted"] == found["tst"].definition
    assert tst["Elsewhere"] == found["tst"].others
    arousals = table.iloc[numbers.index("Arousal index")].str.replace("\\", "")
    assert arousals["Value"] == "–"
    assert arousals["What is counted"].startswith("*None: no arousal is marked")


def test_without_intervals_there_is_no_column_for_them() -> None:
    assert "95\u00a0%\u00a0interval" not in statistics_table(statistics())


def test_names_from_the_file_are_neither_markdown_nor_formulas() -> None:
    found = statistics(position="=HYPERLINK(**x**)")
    name = next(one for one in statistics_table(found)["Number"] if "HYPERLINK" in one)
    assert "**x**" not in name
    rows = list(csv.DictReader(io.StringIO(statistics_csv(statistics(position="=1+1")).decode())))
    assert all(not (cell or "").startswith("=") for row in rows for cell in row.values())


def test_the_csv_has_all_numbers_and_reasons() -> None:
    found = statistics(sure=0.8)
    rows = list(csv.DictReader(io.StringIO(statistics_csv(found).decode())))
    assert tuple(rows[0]) == COLUMNS
    assert [row["Key"] for row in rows] == [item.key for item in found.items]
    for row, item in zip(rows, found.items, strict=True):
        assert (float(row["Value"]) if row["Value"] else None) == item.value
        assert (float(row["Low"]) if row["Low"] else None) == item.low
        assert row["Why none"] == item.why_none

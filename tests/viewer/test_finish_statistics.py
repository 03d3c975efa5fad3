"""The table of statistics, and what its buttons write."""

from __future__ import annotations

import csv
import io

import numpy as np

from sleepfm.analysis.sleep_statistics import NightStatistics, night_statistics
from sleepfm.library.ahi_rule import ahi_rule
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
    assert tst["95\u00a0%, from uncertain stages"] == found["tst"].interval != ""
    assert tst["What is counted"] == found["tst"].definition
    assert tst["Elsewhere"] == found["tst"].others
    arousals = table.iloc[numbers.index("Arousal index")].str.replace("\\", "")
    assert arousals["Value"] == "–"
    assert arousals["What is counted"].startswith("*None: no arousal is marked")


def test_without_intervals_there_is_no_column_for_them() -> None:
    assert "95\u00a0%, from uncertain stages" not in statistics_table(statistics())


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
    stages = np.repeat(np.array([0, 2, -1, 4], np.int8), 20)
    by_key = {row["Key"]: row for row in csv.DictReader(io.StringIO(statistics_csv(night_statistics(stages)).decode()))}
    assert (by_key["rem_latency"]["Value"], by_key["rem_latency"]["Bound"]) == ("20", "≤")
    assert {row["Bound"] for key, row in by_key.items() if key not in ("rem_latency", "waso")} == {""}


def test_only_numbers_that_the_stages_leave_open_have_an_interval_and_the_rule_stands_under_the_ahi() -> None:
    found = statistics(sure=0.8)
    assert found["ahi"].interval
    assert {item.key for item in found.items if item.group in ("Oxygen", "Heart") and item.low is not None} == set()
    table = statistics_table(found, ahi_rule(PSGSCORING)).map(lambda cell: cell.replace("\\", "").replace("\u00a0", " "))
    numbers = table["Number"].tolist()
    under = table.iloc[numbers.index("Apnea-hypopnea index (AHI)") + 1]
    assert (under["Number"], under["Value"]) == ("AHI by rule, psgscoring 0.37.0", "**2.3 to 8.0 /h**")
    assert "rules aasm_v3_breath: 1A: ≥30% flow reduction" in under["What is counted"]
    assert "7.0 /h, 2.3 to 8.0 /h by stricter and looser rules" in under["What is counted"]
    assert ahi_rule({"label": "Events x.csv", "note": ""}) is None


PSGSCORING = {
    "label": "psgscoring",
    "version": "0.37.0",
    "model": "aasm_v3_breath",
    "hypopnea_criterion": "1A: ≥30% flow reduction ≥10 s + (≥3% desaturation OR arousal)",
    "indices": {"ahi": {"value": 7.0, "low": 2.3, "high": 8.0}},
}

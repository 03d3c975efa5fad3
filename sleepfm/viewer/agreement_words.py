"""Agreement in tables: numbers with their intervals, and why there is none."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from sleepfm.analysis.batch_agreement import BatchAgreement, Disagreement, EventSum, NumberAgreement
from sleepfm.analysis.estimates import Estimate
from sleepfm.recording.scorings.tables import spreadsheet_safe
from sleepfm.text import printable
from sleepfm.viewer.agreement_figures import signed
from sleepfm.vocabulary import SCORED_STAGES, STAGE_NAMES, STAGE_SHORT


def estimate_words(one: Estimate, *, digits: int = 3) -> str:
    """Return "0.812 (0.790 to 0.830)", the number alone where there is no interval, and the reason where there is no number."""
    if one.value is None:
        return f"– ({printable(one.reason)})"
    interval = "" if one.low is None or one.high is None else f" ({one.low:.{digits}f} to {one.high:.{digits}f})"
    return f"{one.value:.{digits}f}{interval}"


def head_words(found: BatchAgreement) -> str:
    """Return what the numbers rest on: "3 nights of 2 people, 2,410 epochs that both scored"."""
    nights, people = len(found.nights), found.subjects
    of = "" if nights == 1 else f" of {people} {'person' if people == 1 else 'people'}"
    return f"{nights} night{'s' if nights != 1 else ''}{of}, {found.epochs:,} epochs that both scored"


def stage_rows(found: BatchAgreement) -> list[dict[str, str]]:
    """Return a row a stage: F1 with its interval, and in how many epochs each of the two has it."""
    rows = []
    for k, stage in enumerate(SCORED_STAGES):
        rows.append({
            "Stage": STAGE_SHORT[stage],
            "F1": estimate_words(found.f1[STAGE_NAMES[stage]]),
            "A": f"{int(found.confusion[k].sum()):,}",
            "B": f"{int(found.confusion[:, k].sum()):,}",
            "Both": f"{int(found.confusion[k, k]):,}",
        })  # fmt: skip
    return rows


def number_rows(numbers: Sequence[NumberAgreement]) -> list[dict[str, str]]:
    """Return a row a number of the night: bias and limits of agreement with their intervals, nights and people."""
    rows = []
    for one in numbers:
        of = one.limits
        rows.append({
            "Number": one.name,
            "Unit": one.unit or "count",
            "Bias (A − B)": _with_interval(of.bias, of.bias_interval),
            "Lower limit": _with_interval(of.low, of.low_interval),
            "Upper limit": _with_interval(of.high, of.high_interval),
            "Nights": str(of.nights),
            "People": str(of.subjects),
            "Remark": "; ".join(
                word for word in (of.reason, f"{of.left_out} undefined in one of the two" if of.left_out else "") if word
            ),
        })  # fmt: skip
    return rows


def own_number_rows(numbers: Sequence[NumberAgreement]) -> list[dict[str, str]]:
    """Return a row a number of a single night: by A, by B, and the difference."""
    rows = []
    for one in numbers:
        a, b = float(one.values_a[0]), float(one.values_b[0])
        digits = 1 if one.unit else 0
        rows.append({
            "Number": one.name,
            "Unit": one.unit or "count",
            "A": f"{a:.{digits}f}",
            "B": f"{b:.{digits}f}",
            "A − B": signed(a - b, digits),
        })  # fmt: skip
    return rows


def event_rows(events: Sequence[EventSum]) -> list[dict[str, str]]:
    """Return a row a sort of event: in both, only in one, F1, and how far the onsets lie apart."""
    return [
        {
            "Event": one.name,
            "In both": str(one.both),
            "Only A": str(one.only_a),
            "Only B": str(one.only_b),
            "F1": estimate_words(one.f1),
            "Onset A − B (median, s)": "–" if one.onset_difference_s is None else signed(one.onset_difference_s),
        }
        for one in events
    ]


def night_rows(found: BatchAgreement) -> list[dict[str, object]]:
    """Return a row a night, the one with the lowest kappa first."""
    ordered = sorted(found.nights, key=lambda night: -1.0 if night.agreement.kappa is None else night.agreement.kappa)
    return [
        {
            "Study": night.night,
            "Kappa": None if night.agreement.kappa is None else round(night.agreement.kappa, 3),
            "Accuracy": round(night.agreement.accuracy, 3),
            "Epochs": night.agreement.epochs,
        }
        for night in ordered
    ]


def disagreement_rows(found: Sequence[Disagreement]) -> list[dict[str, object]]:
    """Return a row a run of epochs that A and B call differently."""
    return [{"Epoch": one.epoch, "Epochs": one.epochs, "A": STAGE_SHORT[one.a], "B": STAGE_SHORT[one.b]} for one in found]


def rows_csv(rows: Sequence[Mapping[str, object]]) -> bytes:
    """Return rows as a CSV file (UTF-8); a text that a spreadsheet would run gets an apostrophe."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(rows[0] if rows else ())
    for row in rows:
        table.writerow(
            [spreadsheet_safe(cell) if isinstance(cell, str) else "" if cell is None else cell for cell in row.values()]
        )
    return text.getvalue().encode()


def _with_interval(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return "–"
    return signed(value) if interval is None else f"{signed(value)} ({signed(interval[0])} to {signed(interval[1])})"

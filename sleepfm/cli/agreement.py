"""`sleepfm agree` over two folders: scorings of the same name are of the same night."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sleepfm.analysis.agreement import Agreement
from sleepfm.analysis.batch_agreement import BatchAgreement, NightPair, Scored, agree_over_nights
from sleepfm.analysis.estimates import Estimate
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.progress import Progress
from sleepfm.recording.scorings.formats import read_events
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.recording.scorings.tables import read_table

ReadScoring = Callable[..., Scoring]
_SUFFIXES = (".csv", ".annot", ".eannot", ".tsv", ".xml", ".txt", ".npy", ".edf")
"""In the order in which one of several files of a name is taken."""
_TABLES = {"cohort.csv", "demographics.csv", "is_event.csv", "time_to_event.csv", "failures.csv"}
_EVENTS = "_events"


@dataclass(frozen=True)
class _Files:
    scoring: Path
    events: Path | None


def agree_folders(a: Path, b: Path, read: ReadScoring, *, subjects: Path | None, progress: Progress) -> BatchAgreement:
    """Compare the scorings of two folders, night by night and over all.

    Parameters
    ----------
    a, b
        Folders with a file a night (`<night>.csv` or another format, events beside it as `<night>_events.csv`), or with a folder
        a night as `sleepfm run` and `batch` make them (`<night>/hypnogram.csv`, `<night>/events.csv`).
    read
        Reads a scoring: (path, start=...).
    subjects
        A table that says whose nights they are (`Study ID`, `Subject ID`); without it each night is a person's own.

    Raises
    ------
    RequestError
        No night is in both folders, or the table lacks its columns.
    ScoringError
        No night could be compared.
    """
    in_a, in_b = (dict(_nights(folder)) for folder in (a, b))
    both = sorted(set(in_a) & set(in_b))
    if not both:
        raise RequestError(f"{a} and {b}: no scoring in the one has the name of one in the other")
    people = {} if subjects is None else _people(subjects)
    pairs: list[NightPair] = []
    failed: dict[str, str] = {}
    for number, night in enumerate(both):
        progress(number / len(both), f"{number} of {len(both)}: {night}")
        try:
            first = read(in_a[night].scoring)
            second = read(in_b[night].scoring, start=first.start)
            sides = [Scored(one.stages, _events(of)) for one, of in ((first, in_a[night]), (second, in_b[night]))]
        except SleepFMError as error:
            failed[night] = str(error)
            continue
        pairs.append(NightPair(night, people.get(night, night), sides[0], sides[1]))
    progress(1.0, "drawing people for the intervals")
    found = agree_over_nights(pairs)
    remarks = list(found.remarks)
    for only, folder in ((set(in_a) - set(in_b), a), (set(in_b) - set(in_a), b)):
        if only:
            remarks.append(f"{len(only)} night(s) are only in {folder}, such as {min(only)}; they are left out.")
    if subjects is None and len(pairs) > 1:
        remarks.append("Each night counts as a person of its own; --subjects CSV says whose they are.")
    return replace(found, failed=failed | found.failed, remarks=tuple(remarks))


def _nights(folder: Path) -> Iterator[tuple[str, _Files]]:
    """Give the nights of a folder by name; of several files of one name the last one given counts."""
    files = [file for file in folder.iterdir() if file.is_file() and file.name not in _TABLES and not file.stem.endswith(_EVENTS)]
    known = [file for file in files if file.suffix.lower() in _SUFFIXES]
    for file in sorted(known, key=lambda file: -_SUFFIXES.index(file.suffix.lower())):
        beside = file.with_name(f"{file.stem}{_EVENTS}.csv")
        yield file.stem, _Files(file, beside if beside.is_file() else None)
    for inside in sorted(folder.iterdir()):
        if (scoring := inside / "hypnogram.csv").is_file():
            events = inside / "events.csv"
            yield inside.name, _Files(scoring, events if events.is_file() else None)


def _events(files: _Files) -> tuple[Event, ...] | None:
    return None if files.events is None else read_events(files.events)


def _people(table: Path) -> dict[str, str]:
    columns, rows = read_table(table, keep_case=True)
    if not {"Study ID", "Subject ID"} <= columns:
        raise RequestError(f"{table}: the first line must name the columns Study ID and Subject ID")
    return {row.cells["Study ID"]: row.cells["Subject ID"] for row in rows if row.cells.get("Subject ID")}


def batch_text(found: BatchAgreement, table: Callable[[Agreement], str]) -> str:
    """Return the answer for people; `table` writes the agreement of two files."""
    whole = Agreement(
        epochs=found.epochs,
        kappa=found.kappa.value,
        accuracy=found.accuracy.value or 0.0,
        macro_f1=found.macro_f1.value or 0.0,
        f1={name: one.value for name, one in found.f1.items()},
        confusion=found.confusion,
        unknown=sum(night.agreement.unknown for night in found.nights),
    )
    lines = [f"{len(found.nights)} night(s) of {found.subjects} person(s)", table(whole), ""]
    lines += [f"{name} {_interval(one)}" for name, one in (("kappa", found.kappa), ("accuracy", found.accuracy))]
    if found.numbers:
        lines += ["", f"{'A minus B':34}{'unit':>6}{'bias':>9}{'lower limit':>13}{'upper limit':>13}{'nights':>8}"]
    for one in found.numbers:
        of = one.limits
        cells = "".join(f"{_number(value):>{width}}" for value, width in ((of.bias, 9), (of.low, 13), (of.high, 13)))
        lines.append(f"{one.name:34}{one.unit:>6}{cells}{of.nights:8d}")
    if found.events:
        lines += ["", f"{'events':34}{'both':>6}{'only A':>9}{'only B':>9}      F1"]
    lines += [f"{e.name:34}{e.both:6d}{e.only_a:9d}{e.only_b:9d}  {_number(e.f1.value, 3):>6}" for e in found.events]
    return "\n".join(lines)


def _interval(one: Estimate) -> str:
    if one.low is None or one.high is None:
        return f"has no interval: {one.reason}"
    return f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f}, 95 %, over people)"


def _number(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}f}"

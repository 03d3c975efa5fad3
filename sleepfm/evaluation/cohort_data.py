"""The recordings that are tested, from a cohort folder or from an external cohort's tree, and what is known of their people."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.evaluation.held_out import HeldOut
from sleepfm.evaluation.run_settings import CohortData
from sleepfm.files import atomic_path
from sleepfm.inference.embed_many import SUFFIXES
from sleepfm.progress import Progress, part, silent
from sleepfm.recording.opening import RECORDING_SUFFIXES
from sleepfm.signals.cohort_folders import convert_cohort
from sleepfm.signals.cohort_sources import CohortSource
from sleepfm.signals.cohort_trees import Cohort, CohortStudy, read_cohort
from sleepfm.signals.convert import SIGNAL_SUFFIXES, find_recordings
from sleepfm.signals.study_ids import study_id
from sleepfm.text import printable
from sleepfm.training.config_files import read_settings, shipped_configs
from sleepfm.training.splits import Splits, read_splits

NUMBERS = ("age", "bmi", "ahi")
"""Columns that are numbers whatever stands in them; what is none is not known."""
_IDS = ("Study ID", "Subject ID")
_MARK = "source.json"
_EMBEDDING_FOLDERS = ("5s", "5min")


@dataclass(frozen=True)
class CohortFiles:
    """The recordings of a test set.

    Attributes
    ----------
    name
        For people: the cohort and the lists.
    studies
        Ids of what is tested.
    signals
        Where their signals are.
    splits
        Of the whole cohort; None for an external one without.
    subject_of
        Of every study that the cohort's table knows.
    facts
        Cells of the table by study and column.
    left_out
        Reason by study of what cannot be tested.
    warnings
        What there is to know about the tables.
    source
        Short name of an external cohort.
    """

    name: str
    studies: tuple[str, ...]
    signals: tuple[Path, ...]
    splits: Splits | None
    subject_of: Mapping[str, str]
    facts: Mapping[str, Mapping[str, str]]
    left_out: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    source: str = ""

    def held_out(
        self,
        recordings: Sequence[str],
        *,
        left_out: Mapping[str, str],
        seen: frozenset[str] | None,
        simulated: bool,
        more: Mapping[str, np.ndarray] | None = None,
    ) -> HeldOut:
        """Return the test set of some of the studies, with the table's columns and `more` columns in the recordings' order."""
        return HeldOut(
            recordings=tuple(recordings),
            subjects=tuple(self.subject_of.get(study, study) for study in recordings),
            columns={**self.columns(recordings), **(more or {})},
            left_out={**left_out, **self._left_out()},
            seen=seen,
            simulated=simulated,
            source=self.name,
        )

    def _left_out(self) -> dict[str, str]:
        wanted = set(self.studies)
        return {study: why for study, why in self.left_out.items() if self.splits is None or study in wanted}

    def columns(self, recordings: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the table's columns in the order of some recordings: (recording,) numbers or texts by name."""
        names = dict.fromkeys(name for facts in self.facts.values() for name in facts if name not in _IDS)
        return {name: _column(name, [self.facts.get(study, {}).get(name, "") for study in recordings]) for name in names}


def open_cohort(data: CohortData, folder: Path, *, recipe: str, progress: Progress = silent) -> CohortFiles:
    """Find what is tested; an external cohort is converted first, as far as that was not done before.

    Parameters
    ----------
    data
        Which recordings.
    folder
        Of the evaluation.
    recipe
        Of the encoder's signals.

    Raises
    ------
    RequestError
        A path or a description is missing, or there is nothing to test.
    SleepFMError
        Leakage between splits, or a table that cannot be read.
    """
    if data.source is not None and data.root is not None:
        return _external(data, data.source, data.root, data.converted or folder / "cohort", recipe=recipe, progress=progress)
    facts = read_people(data.cohort)
    subject_of = {study: row["Subject ID"] for study, row in facts.items() if row.get("Subject ID")}
    if data.splits is None:
        splits, studies = None, tuple(signal_sources(data.signals))
    else:
        splits = read_splits(data.splits, subject_of)
        studies = splits.of(data.lists)
    lists = f", {' and '.join(data.lists)}" if splits is not None else ""
    where = data.signals[0] if data.signals else data.splits
    if not studies:
        raise RequestError(f"{data.splits}: the lists {' and '.join(data.lists)} are empty: there is nothing to test")
    return CohortFiles(f"{where}{lists}", studies, data.signals, splits, subject_of, facts)


def _external(data: CohortData, name: str, root: Path, converted: Path, *, recipe: str, progress: Progress) -> CohortFiles:
    config = f"sources/{name}" if f"sources/{name}" in shipped_configs() else name
    source = read_settings(CohortSource, config)
    cohort = read_cohort(root, source, progress=part(progress, 0.0, 0.1))
    signals, left_out = _convert(cohort, converted, data.jobs, recipe, part(progress, 0.1, 1.0))
    subject_of = {study.id: study.subject for study in cohort.studies}
    splits = None if data.splits is None else read_splits(data.splits, subject_of)
    wanted = tuple(subject_of) if splits is None else splits.of(data.lists)
    if not wanted:
        raise RequestError(f"{root}: no study of {source.name} can be tested{_first_reason(left_out)}")
    lists = f", {' and '.join(data.lists)}" if splits is not None else ""
    return CohortFiles(
        f"{source.name} ({root}){lists}",
        wanted,
        signals,
        splits,
        subject_of,
        {study.id: _facts(study) for study in cohort.studies},
        left_out,
        cohort.warnings,
        source.name,
    )


def _convert(cohort: Cohort, out: Path, jobs: int, recipe: str, progress: Progress) -> tuple[tuple[Path, ...], dict[str, str]]:
    """Convert what is not converted yet; return where signals are, and why a study has none."""
    left_out = {study_id(one.path): one.reason for one in cohort.left_out}
    for study in cohort.studies:
        left_out.pop(study.id, None)  # the file that is left out is a second one of a study that is read
    _claim(out, {"cohort": cohort.name, "root": str(cohort.root.resolve()), "recipe": recipe})
    recorded = [study for study in cohort.studies if study.recording.suffix.lower() in RECORDING_SUFFIXES]
    stored = tuple(study.recording for study in cohort.studies if study.recording.suffix.lower() not in RECORDING_SUFFIXES)
    todo = [study for study in recorded if not _is_converted(study, out)]
    if todo:
        made = convert_cohort(replace(cohort, studies=tuple(todo)), out, jobs=jobs, recipe=recipe, progress=progress)
        study_of = {str(path): study.id for study in todo for path in (study.recording, study.scoring, study.events) if path}
        for failed in made["failed"]:
            left_out[study_of[failed["file"]]] = failed["error"]
        for record in made["records"]:
            if record["id"] != study_of[record["file"]]:
                left_out[study_of[record["file"]]] = f"{out} holds another recording of this name; choose another data.converted"
    _write_table(cohort.studies, out / "cohort.csv")
    return (*((out,) if recorded else ()), *stored), left_out


def _claim(out: Path, made_from: dict[str, str]) -> None:
    """Mark the folder as holding this cohort; RequestError when it holds another."""
    mark = out / _MARK
    text = json.dumps(made_from, indent=1) + "\n"
    if mark.is_file():
        if mark.read_text(encoding="utf-8") != text:
            raise RequestError(
                f"{out}: holds another cohort, or the same by another recipe ({mark}); choose another data.converted"
            )
        return
    with atomic_path(mark) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _is_converted(study: CohortStudy, out: Path) -> bool:
    needed = [out / f"{study.id}.hdf5"]
    needed += [out / f"{study.id}.csv"] if study.scoring else []
    needed += [out / f"{study.id}_events.csv"] if study.events else []
    return all(path.is_file() for path in needed)


def _facts(study: CohortStudy) -> dict[str, str]:
    known = {"Subject ID": study.subject, "visit": study.visit, "site": study.site}
    return known | {name: f"{value:.10g}" if isinstance(value, float) else value for name, value in study.facts.items()}


def _write_table(studies: Iterable[CohortStudy], path: Path) -> None:
    rows = [{"Study ID": study.id, **_facts(study)} for study in studies]
    text = io.StringIO()
    table = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


def read_people(path: Path | None) -> dict[str, dict[str, str]]:
    """Return the rows of a cohort's CSV by `Study ID`, cells by column; nothing for None.

    Raises
    ------
    RequestError
        There is no such file.
    SleepFMError
        It is no CSV with `Study ID`, or a study has two rows.
    """
    if path is None:
        return {}
    rows: dict[str, dict[str, str]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, restval="")
            if "Study ID" not in (table.fieldnames or []):
                raise SleepFMError(f"{path}: has no column Study ID")
            for row in table:
                study = row["Study ID"].strip()
                if study in rows:
                    raise SleepFMError(f"{path}, line {table.line_num}: {printable(study)} is there for the second time")
                rows[study] = {name: row[name].strip() for name in table.fieldnames or [] if name and name != "Study ID"}
    except OSError as error:
        raise RequestError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise SleepFMError(f"{path}: not a CSV file ({printable(str(error))})") from None
    return rows


def signal_sources(signals: Sequence[Path]) -> dict[str, Path]:
    """Return the file of each study, its signals file or else its recording, under the ids that embedding gives them."""
    found = [path for path in find_recordings(signals, SUFFIXES) if path.parent.name not in _EMBEDDING_FOLDERS]
    sources: dict[str, Path] = {}
    for of_signals in (True, False):
        taken: set[str] = set()
        for path in found:
            if (path.suffix.lower() in SIGNAL_SUFFIXES) is of_signals:
                identifier = study_id(path, taken)
                taken.add(identifier)
                sources.setdefault(identifier, path)
    return sources


def _column(name: str, cells: Sequence[str]) -> np.ndarray:
    """Return a column as numbers when all its cells are such, else as texts."""
    numbers = [_number(cell) for cell in cells]
    strange = any(cell and math.isnan(number) for cell, number in zip(cells, numbers, strict=True))
    if name.lower() in NUMBERS or (not strange and any(cells)):
        return np.array(numbers, dtype=np.float64)
    return np.array([printable(cell) for cell in cells], dtype=str)


def _number(cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _first_reason(left_out: Mapping[str, str]) -> str:
    return next((f"; {study}: {reason}" for study, reason in left_out.items()), "")

"""The job that makes a dataset: studies of the library as signals files, scorings, events, lists and tables in one folder.

The folder gets its name when everything in it is there. A job that was interrupted goes on with what it had: signals are
converted once for each recording and recipe, and shared by hard links with the library and with other datasets.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

import sleepfm
from sleepfm.administration.readable_folders import require_readable_here
from sleepfm.errors import Cancelled, RequestError, SleepFMError
from sleepfm.files import atomic_path
from sleepfm.home import Home
from sleepfm.inference.cache import key
from sleepfm.inference.night import Night
from sleepfm.library import facts, follow_up
from sleepfm.library.library import Library
from sleepfm.library.review_store import read_events as read_review_events
from sleepfm.library.stored_scorings import ScoringPlace, scoring_at
from sleepfm.library.study import Study
from sleepfm.library.training_data import (
    MANIFEST_FILE,
    balance,
    datasets,
    free_dataset_name,
    kinds_of_nights,
    label_sources,
    notes_on,
    require_one_kind,
    split_by_subject,
    subjects,
)
from sleepfm.progress import Progress, part
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.scorings.events_csv import write_events
from sleepfm.recording.scorings.formats import read_events, write_scoring
from sleepfm.text import size_words
from sleepfm.training.labels import EVENT_ENDINGS
from sleepfm.training.splits import LISTS, Splits, write_splits
from sleepfm.vocabulary import MODEL_RATE_HZ

_BYTES_A_SAMPLE = 2
_SPARE_BYTES = 200_000_000
"""With less than this left the disk counts as full: then nothing more is tried, lest every night be left out for it."""


@dataclass
class _Made:
    """What was made so far, by study."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=dict)

    def remark(self, study: str, text: str) -> None:
        self.remarks.setdefault(study, []).append(text)


def make_dataset(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Make a dataset.

    Parameters
    ----------
    parameters
        As `sleepfm.library.training_data.dataset_parameters` gives them.

    Returns
    -------
    dict
        `dataset`, `folder`; `studies` and `labelled` (counts); `lists` (studies by list); `failed` (`study` and `error` of each
        that is left out); `notes`.

    Raises
    ------
    RequestError
        Another dataset is being made, the name is taken by now, no study can be used, or a list would be empty without those
        that cannot.
    SleepFMError
        The disk is full; asked for again, the job goes on where it was.
    """
    home.datasets.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(home.datasets / ".making.lock", timeout=0):
            return _make(home, parameters, progress)
    except Timeout:
        raise RequestError(f"{home.datasets}: another dataset is being made; wait for it, or stop it, and ask again") from None


def _make(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    started = time.monotonic()
    name = free_dataset_name(home, parameters["name"])
    building = home.datasets / f".{name}.making"
    for folder in ("signals", "scorings", "events"):
        (building / folder).mkdir(parents=True, exist_ok=True)
    with Library(home) as library:
        known = {row["id"] for row in library.connection.execute("SELECT id FROM studies")}
        studies = [study for study in parameters["studies"] if study in known]
        made = _Made(left_out={study: "is not in the library any more" for study in parameters["studies"] if study not in known})
        if not studies:
            raise RequestError(f"{name}: none of its {len(parameters['studies'])} studies is in the library any more")
        require_one_kind(library, studies, mixed=parameters["mixed"])
        planned = split_by_subject(library, studies, parameters["shares"], parameters["seed"], by=parameters["by"])
        _require_space(library, studies)
        labels = label_sources(library, studies, parameters["scorings"])
        _keep_only(building, studies)
        shared = _signals_of_datasets(home)
        for number, study in enumerate(studies):
            here = part(progress, number / len(studies), (number + 1) / len(studies))
            here(0.0, f"{study} ({number + 1} of {len(studies)})")
            try:
                made.records[study] = _make_night(library, study, building, parameters["recipe"], shared, progress=here)
            except Cancelled:
                raise
            except SleepFMError as error:
                _refuse_full_disk(home, error)
                made.left_out[study] = str(error)
                continue
            _write_labels(library, study, building, labels.get(study), made)
        splits = _remaining(name, planned, made)
        _write_tables(library, building, [study for study in studies if study in made.records])
        write_splits(splits, building / "splits.json")
        about = _about(library, parameters, splits, made)
    with atomic_path(building / MANIFEST_FILE) as temporary:
        temporary.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    building.rename(home.datasets / free_dataset_name(home, name))
    return {
        "dataset": name,
        "folder": str(home.datasets / name),
        "studies": len(made.records),
        "labelled": about["labelled"],
        "lists": {one: len(getattr(splits, one)) for one in LISTS},
        "failed": [{"study": study, "error": reason} for study, reason in made.left_out.items()],
        "notes": about["notes"],
        "seconds": round(time.monotonic() - started, 1),
    }


# signals


def _make_night(
    library: Library,
    identifier: str,
    building: Path,
    recipe: str,
    shared: Mapping[str, Path],
    *,
    progress: Progress,
) -> dict[str, Any]:
    """Put a study's signals into the dataset and return what is known of them."""
    library.require_unchanged(identifier)
    study = library.study(identifier)
    with closing(library.recording(identifier, mapped=True)) as recording:
        sha256 = study.sha256 or fingerprint(recording.path, part(progress, 0.0, 0.1))
        library.store_hash(identifier, sha256)
        corrections = library.corrections(recording)
        corrected = {str(index): kind.value for index, kind in sorted(corrections.items())}
        made_from = key("signals", {"study": identifier, "source": sha256, "recipe": recipe, "corrections": corrected})
        target = building / "signals" / f"{identifier}.hdf5"
        signals = shared.get(made_from)
        if signals is None or not signals.is_file():
            night = Night(
                id=identifier,
                source=recording.path,
                recording=recording,
                work=library.study_folder(identifier),
                corrections=corrections,
                sha256=sha256,
            )
            signals = night.signals_file(recipe, part(progress, 0.1, 0.95))
    _link(signals, target)
    return {
        "key": made_from,
        "source": str(study.path),
        "source_sha256": sha256,
        "hours": round(study.duration_s / 3600, 4),
        "simulated": study.simulated,
        "corrections": corrected,
        "bad_channels": list(study.bad_channels),
    }


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system knows no second names."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)


def _signals_of_datasets(home: Home) -> dict[str, Path]:
    """Return the signals files of all datasets by the key of what they were made from."""
    return {
        record["key"]: one.signals / f"{study}.hdf5"
        for one in datasets(home)
        for study, record in one.about.get("studies", {}).items()
        if isinstance(record, dict) and "key" in record
    }


def _keep_only(building: Path, studies: Sequence[str]) -> None:
    """Remove what an interrupted job of the same name left of other studies, and all labels, which are written anew."""
    wanted = {f"{study}.hdf5" for study in studies}
    for path in (building / "signals").iterdir():
        if path.name not in wanted:
            path.unlink()
    for folder in ("scorings", "events"):
        for path in (building / folder).iterdir():
            path.unlink()


def _require_space(library: Library, studies: Sequence[str]) -> None:
    """Raise SleepFMError when the signals that are still to be made will not fit on the disk."""
    needed = 0.0
    for identifier in studies:
        study: Study = library.study(identifier)
        if not any(library.study_folder(identifier).glob("signals-*.hdf5")):
            needed += sum(study.modalities.values()) * study.duration_s * MODEL_RATE_HZ * _BYTES_A_SAMPLE
    free = shutil.disk_usage(library.home.root).free
    if needed + _SPARE_BYTES > free:
        raise SleepFMError(
            f"{library.home.root}: the signals need about {size_words(needed)}, and {size_words(free)} are free; free some"
            " space, or choose fewer studies"
        )


def _refuse_full_disk(home: Home, error: SleepFMError) -> None:
    if shutil.disk_usage(home.root).free < _SPARE_BYTES:
        raise SleepFMError(
            f"{home.root}: the disk is full ({error}); free some space and make the dataset again: what is converted is kept"
        ) from error


# labels and tables


def _write_labels(library: Library, identifier: str, building: Path, source: ScoringPlace | None, made: _Made) -> None:
    """Write a study's scoring and events; what cannot be read is remarked, the night stays."""
    study, record = library.study(identifier), made.records[identifier]
    record["scoring"] = record["events"] = None
    if source is not None:
        try:
            scoring = scoring_at(library, source, duration_s=study.duration_s)
        except SleepFMError as error:
            made.remark(identifier, f"its scoring is left out: {error}")
        else:
            write_scoring(scoring, building / "scorings" / f"{identifier}.csv")
            record["scoring"] = {
                "engine": source.engine,
                "model": source.model,
                "label": source.label,
                "id": source.id,
                "state": source.state,
            }
    if source is not None and source.file is None and (events_of_review := read_review_events(library.connection, source.id)):
        write_events(events_of_review.values(), building / "events" / f"{identifier}_events.csv")
        record["events"] = f"the scoring by {source.label}"
        return
    for path in _events_beside(study):
        try:
            require_readable_here(library.home, path)
            events = read_events(path)
        except SleepFMError as error:
            if path != study.path:  # the recording itself need not hold any
                made.remark(identifier, f"its events are left out: {error}")
            continue
        if events or path != study.path:
            write_events(events, building / "events" / f"{identifier}_events.csv")
            record["events"] = str(path)
            return


def _events_beside(study: Study) -> list[Path]:
    beside = [study.path.with_name(study.path.stem + ending) for ending in EVENT_ENDINGS]
    return [path for path in (*beside, study.path) if path.is_file()]


def _remaining(name: str, planned: Splits, made: _Made) -> Splits:
    """Return the lists without the studies that are left out; RequestError when one is empty then."""
    if not made.records:
        study, reason = next(iter(made.left_out.items()))
        raise RequestError(f"{name}: no study can be used; {study}: {reason}")
    splits = Splits(**{one: tuple(study for study in getattr(planned, one) if study in made.records) for one in LISTS})
    for one in LISTS:
        listed = getattr(planned, one)
        if listed and not getattr(splits, one):
            raise RequestError(
                f"{name}: none of the {len(listed)} studies for {one} can be used; {listed[0]}: {made.left_out[listed[0]]}."
                " Choose other studies or another seed"
            )
    return splits


def _write_tables(library: Library, building: Path, studies: Sequence[str]) -> None:
    """Write who was recorded, and where it is known what became of them."""
    who, subject_of = facts.people(library, studies), subjects(library, studies)
    made_up = {study: library.study(study).simulated for study in studies}
    rows = [
        (study, subject_of[study], who[study].site or "", _number(who[study].age), who[study].sex or "", made_up[study])
        for study in studies
    ]
    _write_csv(building / "cohort.csv", ("Study ID", "Subject ID", "site", "age", "sex", "simulated"), rows)
    complete = [study for study in studies if who[study].age is not None and who[study].sex is not None]
    if complete:
        people = [(study, _number(who[study].age), who[study].sex) for study in complete]
        _write_csv(building / "demographics.csv", ("Study ID", "age", "gender"), people)
    conditions = follow_up.conditions(library)
    years_nk, event_nk = follow_up.outcome_table(library, studies, conditions)
    known_k = np.isfinite(years_nk).any(axis=0)
    if known_k.any():
        names = [condition for condition, known in zip(conditions, known_k, strict=True) if known]
        years_nk, event_nk = years_nk[:, known_k], event_nk[:, known_k]
        happened = [
            (study, *("" if np.isnan(y) else int(e) for y, e in zip(years_k, event_k, strict=True)))
            for study, years_k, event_k in zip(studies, years_nk, event_nk, strict=True)
        ]
        times = [
            (study, *("" if np.isnan(years) else _number(years) for years in years_k))
            for study, years_k in zip(studies, years_nk, strict=True)
        ]
        _write_csv(building / "is_event.csv", ("Study ID", *names), happened)
        _write_csv(building / "time_to_event.csv", ("Study ID", *names), times)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


def _about(library: Library, parameters: Mapping[str, Any], splits: Splits, made: _Made) -> dict[str, Any]:
    studies = [*made.records]
    made_up, real = kinds_of_nights(library, studies)
    return {
        "name": parameters["name"],
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": f"sleepfm {sleepfm.__version__}",
        **{name: parameters[name] for name in ("recipe", "scorings", "shares", "seed", "by", "mixed")},
        "simulated": made_up,
        "real": real,
        "labelled": sum(record["scoring"] is not None for record in made.records.values()),
        "balance": balance(library, splits, scorings=parameters["scorings"]),
        "notes": list(notes_on(library, studies)),
        "studies": made.records,
        "left_out": made.left_out,
        "remarks": made.remarks,
    }

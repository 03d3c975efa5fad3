"""A cohort's folder tree, read by its description: each study with its scoring and what is known of the person.

What is left out is named with its reason; nothing is left out in silence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import h5py

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.progress import Progress, silent
from sleepfm.recording.opening import open_recording
from sleepfm.signals.cohort_people import Facts, People
from sleepfm.signals.cohort_sources import CohortSource
from sleepfm.signals.study_ids import study_id

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class CohortStudy:
    """One night of one person.

    Attributes
    ----------
    id
        The study's id, the one that converting the recording gives it.
    subject
        Who: the same name for every night of a person, and no one else's in another cohort.
    visit
        Which visit, "" where the paths do not say.
    recording, scoring, events
        The files; None where there is none.
    facts
        What the cohort's tables say of the person: `age` in years, `sex` ("female" or "male"), and whatever else the
        description names. What is unknown is not there.
    """

    id: str
    subject: str
    visit: str
    site: str
    recording: Path
    scoring: Path | None
    events: Path | None
    facts: Facts


@dataclass(frozen=True)
class LeftOut:
    """A file that is not among the studies, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Cohort:
    """The studies in the order of their paths, what was left out, and what there is to know about the tables."""

    name: str
    root: Path
    studies: tuple[CohortStudy, ...]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...]


def read_cohort(root: Path, source: CohortSource, *, scored: bool = True, progress: Progress = silent) -> Cohort:
    """List the studies of a cohort.

    Every recording's header is opened, so that one that cannot be read is known before anything is computed. Scorings are only
    looked for: `sleepfm.recording.scorings.formats.read_scoring` reads them.

    Parameters
    ----------
    root
        The cohort's folder, as it was downloaded.
    source
        Its description.
    scored
        Leave out studies without a scoring.

    Raises
    ------
    RequestError
        There is no such folder, or not one file in it fits the description.
    """
    if not root.is_dir():
        raise RequestError(f"{root}: there is no such folder; name the folder that holds {source.name}.")
    matched = [(path, found) for pattern in source.recordings for path, found in _matching(root, pattern)]
    if not matched:
        raise RequestError(f"{root}: holds no recording of {source.name} ({' or '.join(source.recordings)}); check the folder.")
    people = People(root, source)
    studies: dict[str, CohortStudy] = {}
    left_out = _strangers(root, source, {path for path, _ in matched})
    for number, (path, found) in enumerate(matched):
        progress(number / len(matched), f"{source.name}: {number} of {len(matched)} recordings looked at")
        study = _study(root, source, path, found, people)
        reason = ""
        if study.id in studies:
            reason = f"it is the study {study.id} again, which is read from {studies[study.id].recording}"
        elif scored and study.scoring is None:
            reason = f"it has no scoring: there is no {source.scoring.format(**found)}"
        else:
            reason = _unreadable(path)
        if reason:
            left_out.append(LeftOut(path, reason))
        else:
            studies[study.id] = study
    progress(1.0, f"{source.name}: {len(studies)} studies")
    return Cohort(source.name, root, tuple(studies.values()), tuple(left_out), tuple(people.warnings))


def _study(root: Path, source: CohortSource, path: Path, found: dict[str, str], people: People) -> CohortStudy:
    facts = people.of(found)
    subject = facts.pop("subject", None)
    site = facts.pop("site", None)
    return CohortStudy(
        id=study_id(path),
        subject=source.subject.format(**found) if subject is None else str(subject),
        visit=found.get("visit", ""),
        site=source.site if site is None else str(site),
        recording=path,
        scoring=_existing(root / source.scoring.format(**found)),
        events=None if source.events is None else _existing(root / source.events.format(**found)),
        facts=facts,
    )


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def _matching(root: Path, pattern: str) -> list[tuple[Path, dict[str, str]]]:
    """Return the files that a path with placeholders fits, and what the placeholders stand for."""
    expression, seen = "", set()
    for k, part in enumerate(_PLACEHOLDER.split(pattern)):
        if k % 2 == 0:
            expression += re.escape(part)
        elif part in seen:
            expression += f"(?P={part})"
        else:
            seen.add(part)
            expression += f"(?P<{part}>[^/]+)"
    fits = re.compile(expression)
    paths = sorted(path for path in root.glob(_PLACEHOLDER.sub("*", pattern)) if path.is_file())
    found = [(path, fits.fullmatch(path.relative_to(root).as_posix())) for path in paths]
    return [(path, match.groupdict()) for path, match in found if match]


def _strangers(root: Path, source: CohortSource, known: set[Path]) -> list[LeftOut]:
    """Return the files that look like recordings and that no path of the description fits."""
    suffixes = {Path(pattern).suffix.lower() for pattern in source.recordings}
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    return [LeftOut(path, "its place or name fits no path of the description") for path in files if path not in known]


def _unreadable(path: Path) -> str:
    """Return why a recording or signals file cannot be opened, "" when it can."""
    try:
        if path.suffix.lower() in {".hdf5", ".h5"}:
            return "" if h5py.is_hdf5(path) else "it is no HDF5 file"
        open_recording(path).close()
    except SleepFMError as error:
        return str(error)
    return ""

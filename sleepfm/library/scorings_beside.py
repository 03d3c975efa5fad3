"""Scorings that lie beside recordings under their names, as sleep labs leave them: `night.xml`, `night_hypnogram.edf`.

Which format a file has is seen from its content. What is not certain is said and left to a person: several scorings that differ,
integers whose meaning the format does not fix, a program's own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sleepfm.administration.readable_folders import require_readable_here
from sleepfm.errors import RecordingError, ScoringError, SleepFMError
from sleepfm.library.imported_scorings import MOST_MB
from sleepfm.library.library import Library
from sleepfm.library.study import OWN_SCORING, Study
from sleepfm.recording.opening import RECORDING_SUFFIXES, open_recording
from sleepfm.recording.scorings.codes import MOST_CODES, CodesNeededError
from sleepfm.recording.scorings.formats import ScoringFile, detect_format, read_file
from sleepfm.text import printable

_EDF = ".edf"
_SUFFIXES = frozenset(
    {".csv", ".tsv", ".txt", ".xml", ".annot", ".eannot", ".npy", ".hyp", ".ids", ".arousal", ".st", ".apn", _EDF}
)
_SEPARATOR = re.compile(r"[-_. ]")
_RECORDED = re.compile(r"[-_. ](psg|eeg|raw)$")
_NAMED = 4
_ON_REVIEW = "on the Review page, under More, Add a scoring"


@dataclass(frozen=True)
class Beside:
    """What lies beside a recording.

    Attributes
    ----------
    scoring
        The scoring that is to be taken; None where there is none, it is stored already, or a person has to say which.
    said
        Files that were not taken, each with why.
    """

    scoring: Path | None
    said: tuple[tuple[Path, str], ...] = ()


def files_beside(recordings: Collection[Path]) -> dict[Path, list[Path]]:
    """Return the files beside each recording that have its name and may hold a scoring; nothing is opened.

    A file belongs to the recording with the longest name that its own begins with, before a separator or its suffix;
    `n_psg.edf` and `n_eeg.edf` are also called `n` where no other recording is.
    """
    found: dict[Path, list[Path]] = defaultdict(list)
    for folder in dict.fromkeys(recording.parent for recording in recordings):
        try:
            files = sorted(folder.iterdir())
        except PermissionError:
            continue  # its recordings can be opened by name, and nothing else there can be seen
        names = _names([file for file in files if file.suffix.lower() in RECORDING_SUFFIXES])
        for file in files:
            if file.suffix.lower() in _SUFFIXES and file not in recordings and file.is_file():
                recording = _whose(file, names)
                if recording is not None and recording in recordings:
                    found[recording].append(file)
    return found


def _names(recordings: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the recordings by their names, and by what they are short for where no other has that name."""
    full: dict[str, list[Path]] = defaultdict(list)
    short: dict[str, list[Path]] = defaultdict(list)
    for recording in recordings:
        name = recording.stem.lower()
        full[name].append(recording)
        short[_RECORDED.sub("", name)].append(recording)
    return short | full


def _whose(file: Path, names: Mapping[str, Sequence[Path]]) -> Path | None:
    """Return the one recording that a file is named after; None where that is none or several."""
    stem = file.stem.lower()
    for stop in (len(stem), *(match.start() for match in reversed([*_SEPARATOR.finditer(stem)]))):
        others = [one for one in names.get(stem[:stop], ()) if one != file]  # an EDF+ file may be a scoring or a recording
        if others:
            return others[0] if len(others) == 1 else None
    return None


def scoring_beside(library: Library, study: Study, files: Sequence[Path]) -> Beside:
    """Return which of the files beside a study's recording is its scoring.

    Files that hold no stages are passed over. Of several scorings with the same stages the one with the most events is taken.
    """
    found: list[tuple[Path, ScoringFile]] = []
    said: list[tuple[Path, str]] = []
    for file in files:
        try:
            read = _read(library, study, file)
        except CodesNeededError as error:
            if len(error.counts) <= MOST_CODES:
                said.append((file, f"{file}: its integers mean other stages in other programs: say which {_ON_REVIEW}"))
        except SleepFMError as error:
            said.append((file, str(error)))
        else:
            if read is not None:
                found.append((file, read))
    stages = [_stages(read) for _, read in found]
    stored = [one.scoring.stages for one in library.scorings(study.id) if one.engine == OWN_SCORING]
    if any(np.array_equal(one, other) for one in stages for other in stored):
        return Beside(None, tuple(said))
    if any(not np.array_equal(one, stages[0]) for one in stages):
        names = printable(", ".join(file.name for file, _ in found[:_NAMED])) + (", …" if len(found) > _NAMED else "")
        why = f"{study.path}: {len(found)} scorings with different stages lie beside it ({names}): add the one that counts"
        return Beside(None, ((study.path, f"{why} {_ON_REVIEW}"), *said))
    taken = max(found, key=lambda one: len(one[1].events), default=None)
    return Beside(None if taken is None else taken[0], tuple(said))


def _stages(read: ScoringFile) -> np.ndarray:
    assert read.scoring is not None
    return read.scoring.stages


def _read(library: Library, study: Study, file: Path) -> ScoringFile | None:
    """Return what a file says of a study; None when it is no scoring.

    Raises
    ------
    CodesNeededError
        Integers whose meaning nobody said.
    ScoringError, RecordingError
        When it cannot be read, or a model made it.
    RequestError
        When it is a link that leads outside the folders that the app may read.
    """
    require_readable_here(library.home, file)
    if file.stat().st_size > MOST_MB << 20 or (file.suffix.lower() == _EDF and not _holds_annotations_only(file)):
        return None
    try:
        detect_format(file)
    except ScoringError:
        return None  # a table of something else
    read = read_file(file, duration_s=study.duration_s, start=study.start)
    if read.scoring is None:
        return None
    if read.scoring.probabilities is not None:
        raise ScoringError(
            f"{file}: holds a model's probabilities, so it is not taken for the scoring that came with the recording"
        )
    return read


def _holds_annotations_only(file: Path) -> bool:
    try:
        with closing(open_recording(file)) as opened:
            return not opened.channels
    except RecordingError:
        return False

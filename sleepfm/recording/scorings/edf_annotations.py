"""Sleep stages as EDF+ annotations ("Sleep stage N2"): in a recording's own file, or in a file that holds nothing else.

The texts are those of the EDF+ standard texts (https://www.edfplus.info/specs/edftexts.html), section "sleep staging".
"""

from __future__ import annotations

import itertools
import re
import warnings
from collections import Counter
from datetime import datetime
from pathlib import Path

import edfio
import numpy as np

from sleepfm.errors import ScoringError
from sleepfm.files import atomic_path
from sleepfm.recording.edf import open_edf
from sleepfm.recording.recording import Annotation
from sleepfm.recording.scorings.epochs import Stretch, onto_epochs
from sleepfm.recording.scorings.event_texts import events_from_annotations
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.vocabulary import EPOCH_S, Stage

STAGE_TEXTS: dict[Stage, str] = {
    Stage.UNKNOWN: "Sleep stage ?",
    Stage.WAKE: "Sleep stage W",
    Stage.N1: "Sleep stage N1",
    Stage.N2: "Sleep stage N2",
    Stage.N3: "Sleep stage N3",
    Stage.REM: "Sleep stage R",
}
"""The text each stage is written with."""
_STAGE_TEXT = re.compile(r"sleep stage\s+(\S+)|(movement time)", re.IGNORECASE)
_LETTERS = {"w": Stage.WAKE, "r": Stage.REM, "?": Stage.UNKNOWN, "n1": Stage.N1, "n2": Stage.N2, "n3": Stage.N3, "n4": Stage.N3}
_LETTERS |= {"1": Stage.N1, "2": Stage.N2, "3": Stage.N3, "4": Stage.N3}


def stages_from_annotations(annotations: tuple[Annotation, ...], *, duration_s: float | None = None, scorer: str = "") -> Scoring:
    """Put the stage annotations among `annotations` on the 30-s grid; the others are passed over.

    Movement time is Unknown, R&K stage 4 is N3. A stage without a duration lasts until the next one, the last one an epoch.

    Parameters
    ----------
    annotations
        In seconds from the recording's start.
    duration_s
        Length of the recording in seconds, where it is known.
    scorer
        Kept in the scoring.

    Raises
    ------
    ScoringError
        When there is no stage among them, or two of them contradict each other.
    """
    said: list[str] = []
    found = [(a, stage) for a in annotations if (stage := _stage(a.text)) is not None]
    if not found:
        raise ScoringError('no annotation is a sleep stage ("Sleep stage W", "Sleep stage N1", …)')
    found.sort(key=lambda pair: pair[0].onset_s)
    strange = Counter(a.text.strip()[:40] for a, stage in found if stage is Stage.UNKNOWN and "?" not in a.text)
    said += [f"{n} annotation(s) {text!r} became Unknown" for text, n in strange.most_common(10)]

    onsets = [a.onset_s for a, _ in found]
    later = [next((o for o in onsets[k + 1 :] if o > onsets[k]), onsets[k] + EPOCH_S) for k in range(len(onsets))]
    open_ended = [not a.duration_s for a, _ in found]
    if any(open_ended):
        said.append(f"{sum(open_ended)} stage annotation(s) without a duration last until the next one")
    stretches = [
        Stretch(a.onset_s, next_s if is_open else a.onset_s + (a.duration_s or 0.0), stage, f"annotation at {a.onset_s:g} s")
        for (a, stage), next_s, is_open in zip(found, later, open_ended, strict=True)
    ]
    return onto_epochs(stretches, duration_s=duration_s, scorer=scorer, warnings=said)


def read_edf_scoring(path: Path, *, duration_s: float | None = None) -> Scoring:
    """Read the stages from an EDF+ or BDF+ file, with or without signals beside them.

    Parameters
    ----------
    path
        The file.
    duration_s
        Length of the recording in seconds; without it the file's own length counts when it has signals, else the scoring's.

    Raises
    ------
    ScoringError
        When it holds no stages or they contradict each other.
    RecordingError
        When it cannot be read as EDF or BDF.
    """
    recording = open_edf(path)
    try:
        if duration_s is None and recording.channels:
            duration_s = recording.duration_s
        return stages_from_annotations(recording.annotations(), duration_s=duration_s)
    except ScoringError as error:
        raise ScoringError(f"{path}: {error}") from None
    finally:
        recording.close()


def read_edf_events(path: Path) -> tuple[Event, ...]:
    """Read the events among the annotations of an EDF+ or BDF+ file.

    Raises
    ------
    RecordingError
        When it cannot be read as EDF or BDF.
    """
    with open_edf(path) as recording:
        return events_from_annotations(recording.annotations())


def write_edf_scoring(scoring: Scoring, path: Path, *, start: datetime | None = None) -> None:
    """Write an EDF+ file that holds only the stages, one annotation a bout, whole or not at all.

    The header names nobody: patient and recording fields hold the start date and otherwise X (EDF+ clause 2.1.3.3).

    Parameters
    ----------
    scoring
        Its probabilities are not kept: EDF+ has no place for them.
    path
        The file to write.
    start
        The recording's start in local time, so that a reader can lay the stages over the signals. Without it the date is
        left anonymous and the time 00:00:00.

    Raises
    ------
    ScoringError
        When the scoring has no epoch, or EDF cannot hold the start's year (1985 to 2084).
    """
    if len(scoring.stages) == 0:
        raise ScoringError(f"{path}: there is no epoch to write")
    if start is not None and not 1985 <= start.year <= 2084:
        raise ScoringError(f"{path}: EDF holds the years 1985 to 2084, not {start.year}")
    edges = np.flatnonzero(np.diff(scoring.stages)) + 1
    bounds = [0, *edges.tolist(), len(scoring.stages)]
    annotations = [
        edfio.EdfAnnotation(a * scoring.epoch_s, (b - a) * scoring.epoch_s, STAGE_TEXTS[Stage(int(scoring.stages[a]))])
        for a, b in itertools.pairwise(bounds)
    ]
    edf = edfio.Edf(
        [],
        recording=edfio.Recording(startdate=start.date() if start else None),
        starttime=start.time() if start else None,
        annotations=annotations,
    )
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        edf.write(temporary)


def _stage(text: str) -> Stage | None:
    """Return the stage a text stands for, Unknown for a stage that is none of the five, None for another annotation."""
    match = _STAGE_TEXT.fullmatch(text.strip())
    if match is None:
        return None
    return _LETTERS.get((match[1] or "").lower(), Stage.UNKNOWN)

"""Stages and events as EDF+ annotations: in a recording's own file, or in a file that holds nothing else.

The texts are those of the EDF+ standard texts (https://www.edfplus.info/specs/edftexts.html), section 3.2 for the stages and
events, 3.3 for the channel behind "@@". Nihon Kohden exports are such files. Annotations of MASS (EDF++) may be XML: the name
and the channel of its element count.

What the format cannot hold: probabilities, the source of an event, its further columns, and a start before 1985 or after 2084.
"""

from __future__ import annotations

import re
import warnings
from datetime import datetime
from pathlib import Path

import edfio

from sleepfm.errors import ScoringError
from sleepfm.files import atomic_path
from sleepfm.recording.edf import open_edf
from sleepfm.recording.recording import Annotation
from sleepfm.recording.scorings.clock import clock_of
from sleepfm.recording.scorings.contents import Contents, Known, MarkCollector
from sleepfm.recording.scorings.epochs import Stretch, bouts, onto_epochs
from sleepfm.recording.scorings.losses import losses
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.recording.scorings.stage_names import StageWords
from sleepfm.recording.scorings.xml_notes import plain_texts
from sleepfm.text import printable
from sleepfm.vocabulary import EPOCH_S, EventName, Stage

STAGE_TEXTS: dict[Stage, str] = {
    Stage.UNKNOWN: "Sleep stage ?",
    Stage.WAKE: "Sleep stage W",
    Stage.N1: "Sleep stage N1",
    Stage.N2: "Sleep stage N2",
    Stage.N3: "Sleep stage N3",
    Stage.REM: "Sleep stage R",
}
"""The text each stage is written with."""
EVENT_TEXTS: dict[str, str] = {
    EventName.OBSTRUCTIVE_APNEA: "Obstructive apnea",
    EventName.CENTRAL_APNEA: "Central apnea",
    EventName.MIXED_APNEA: "Mixed apnea",
    EventName.HYPOPNEA: "Hypopnea",
    EventName.RERA: "RERA",
    EventName.DESATURATION: "Oxygen desaturation",
    EventName.AROUSAL: "EEG arousal",
    EventName.LEG_MOVEMENT: "Limb movement",
    EventName.PLM: "PLMS",
    EventName.SNORE: "Snore",
    EventName.LIGHTS_OFF: "Lights off",
    EventName.LIGHTS_ON: "Lights on",
    EventName.ARTIFACT: "Artifact",
}
"""The text each event is written with."""
_STAGE_TEXT = re.compile(r"sleep stage\s+\S+|movement time", re.IGNORECASE)
_NIHON_KOHDEN = b"nihon_kohden"


def is_nihon_kohden(head: bytes) -> bool:
    """Tell whether an EDF header's recording field (bytes 88 to 167) names Nihon Kohden."""
    return _NIHON_KOHDEN in head[88:168].lower().replace(b" ", b"_")


def read_edf(path: Path, _known: Known) -> Contents:
    """Read stages and events from an EDF+ or BDF+ file, with or without signals beside them.

    Raises
    ------
    ScoringError
        An event's times are none.
    RecordingError
        When it cannot be read as EDF or BDF.
    """
    with open_edf(path) as recording:
        annotations, said = plain_texts(recording.annotations())
        begins, dated = clock_of(recording.start)
        duration_s = recording.duration_s if recording.channels else None
    stretches, remarks = _stretches(annotations)
    marks = MarkCollector("recording")
    for number, annotation in enumerate(annotations, start=1):
        if _STAGE_TEXT.fullmatch(annotation.text.strip()) is None:
            where = _place(annotation, number)
            marks.add(annotation.text, annotation.onset_s, annotation.duration_s or 0.0, where, channel=annotation.channel or "")
    return Contents(
        tuple(stretches),
        tuple(marks.marks),
        begins=begins,
        dated=dated,
        duration_s=duration_s,
        warnings=(*said, *remarks, *marks.said()),
    )


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
    plain, said = plain_texts(annotations)
    stretches, remarks = _stretches(plain)
    if not stretches:
        raise ScoringError(NO_STAGES)
    return onto_epochs(stretches, duration_s=duration_s, scorer=scorer, warnings=[*said, *remarks])


NO_STAGES = 'no annotation is a sleep stage ("Sleep stage W", "Sleep stage N1", …)'


def write_edf(scoring: Scoring, path: Path, *, start: datetime | None, events: tuple[Event, ...]) -> list[str]:
    """Write an EDF+ file that holds only annotations, one a bout of a stage and one an event, whole or not at all.

    The header names nobody: patient and recording fields hold the start date and otherwise X (EDF+ clause 2.1.3.3).

    Parameters
    ----------
    scoring, events
        What is written.
    path
        The file to write.
    start
        The recording's start in local time, so that a reader can lay the stages over the signals. Without it the date is
        left anonymous and the time 00:00:00.

    Returns
    -------
    list of str
        What the format could not hold.

    Raises
    ------
    ScoringError
        When the scoring has no epoch, or EDF cannot hold the start's year (1985 to 2084).
    """
    if len(scoring.stages) == 0:
        raise ScoringError(f"{path}: there is no epoch to write")
    if start is not None and not 1985 <= start.year <= 2084:
        raise ScoringError(f"{path}: EDF holds the years 1985 to 2084, not {start.year}")
    annotations = [edfio.EdfAnnotation(begin_s, length_s, STAGE_TEXTS[stage]) for stage, begin_s, length_s in bouts(scoring)]
    for event in events:
        link = f"@@{printable(event.channel)}" if event.channel else ""
        lasts_s = round(event.stop_s - event.start_s, 9)
        annotations.append(edfio.EdfAnnotation(event.start_s, lasts_s or None, EVENT_TEXTS[event.name] + link))
    edf = edfio.Edf(
        [],
        recording=edfio.Recording(startdate=start.date() if start else None),
        starttime=start.time() if start else None,
        annotations=sorted(annotations),
    )
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        edf.write(temporary)
    return losses(scoring, events, probabilities=False, source=False, extra=())


def _stretches(annotations: tuple[Annotation, ...]) -> tuple[list[Stretch], list[str]]:
    """Return the stages among annotations, in order, and what there is to say of them."""
    words = StageWords()
    found = []
    for number, annotation in enumerate(annotations, start=1):
        if _STAGE_TEXT.fullmatch(annotation.text.strip()) is not None:
            where = _place(annotation, number)
            found.append((annotation, words.stage(annotation.text, where), where))
    found.sort(key=lambda one: one[0].onset_s)
    ends = [_NEVER] * len(found)
    for k in range(len(found) - 2, -1, -1):  # where the next stage begins that does not begin with this one
        following = found[k + 1][0].onset_s
        ends[k] = following if following > found[k][0].onset_s else ends[k + 1]
    said = words.said()
    open_ended = sum(not annotation.duration_s for annotation, _, _ in found)
    if open_ended:
        said.append(f"{open_ended} stage annotation(s) without a duration last until the next one")
    stretches = []
    for (annotation, stage, where), end_s in zip(found, ends, strict=True):
        begin_s = annotation.onset_s
        until_s = begin_s + EPOCH_S if end_s == _NEVER else end_s
        stop_s = begin_s + annotation.duration_s if annotation.duration_s else until_s
        stretches.append(Stretch(begin_s, stop_s, stage, where))
    return stretches, said


_NEVER = float("inf")


def _place(annotation: Annotation, number: int) -> str:
    return f"annotation {number} at {annotation.onset_s:g} s"

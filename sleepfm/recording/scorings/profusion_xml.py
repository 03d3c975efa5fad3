"""Stages and events as Compumedics Profusion exports them (XML, root `CMPStudyConfig`); read only.

One `SleepStage` an epoch of `EpochLength` seconds: 0 wake, 1 to 4 NREM (Rechtschaffen and Kales), 5 REM, 9 "active"
(https://github.com/nsrr/edf-editor-translator/wiki/Compumedics-Annotation-Format). The NSRR reads 9 as unscored, others as wake:
here it is Unknown, and said. Times are seconds from the recording's start.
"""

from __future__ import annotations

from pathlib import Path

from sleepfm.errors import ScoringError
from sleepfm.recording.scorings.contents import Contents, Known, MarkCollector
from sleepfm.recording.scorings.epochs import Stretch
from sleepfm.recording.scorings.stage_names import StageWords
from sleepfm.recording.scorings.xml_tree import number_of, read_xml, seconds_of, text_of
from sleepfm.text import printable
from sleepfm.vocabulary import Stage

ROOT = "CMPStudyConfig"
_STAGES = {"0": Stage.WAKE, "1": Stage.N1, "2": Stage.N2, "3": Stage.N3, "4": Stage.N3, "5": Stage.REM}
_ACTIVE = "9"


def read_profusion(path: Path, _known: Known) -> Contents:
    """Read a Profusion study configuration; a desaturation keeps its nadir and depth (`NadirSpO2`, `Desaturation`, in %).

    Raises
    ------
    ScoringError
        Not such a file, no usable epoch length, or a time that is no number, naming the line.
    """
    tree = read_xml(path, ROOT)
    length_text = text_of(tree.root, "EpochLength")
    epoch_s = number_of(length_text)
    if epoch_s is None or not 1 <= epoch_s <= 120:
        raise ScoringError(f"{path}: EpochLength {printable(length_text)[:20]!r} is not a length of an epoch in seconds")
    words, marks = StageWords(), MarkCollector("profusion")
    stretches: list[Stretch] = []
    active: list[str] = []
    for number, (element, line) in enumerate(tree.iterate("SleepStage")):
        where = f"{line}, epoch {number + 1}"
        code = (element.text or "").strip()
        stage = Stage.UNKNOWN
        if code in _STAGES:
            stage = words.stage(f"stage {code}", where, _STAGES[code])
        elif code == _ACTIVE:
            active.append(where)
        else:
            stage = words.strange(code, where)
        stretches.append(Stretch(number * epoch_s, (number + 1) * epoch_s, stage, where))
    for number, (element, line) in enumerate(tree.iterate("ScoredEvent"), start=1):
        where = f"{line}, scored event {number}"
        start_s, lasts_s = seconds_of(element, "Start", where), seconds_of(element, "Duration", where)
        extra: dict[str, float | str] = {}
        for tag, column in (("LowestSpO2", "NadirSpO2"), ("Desaturation", "Desaturation")):
            value = number_of(text_of(element, tag))
            if value is not None:
                extra[column] = value
        marks.add(text_of(element, "Name"), start_s, lasts_s, where, channel=text_of(element, "Input"), extra=extra)
    said = words.said()
    if active:
        said.append(f'{len(active)} epoch(s) of code 9 ("active", not wake) became Unknown (first: {active[0]})')
    return Contents(tuple(stretches), tuple(marks.marks), warnings=(*said, *marks.said()))

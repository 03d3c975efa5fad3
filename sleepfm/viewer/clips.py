"""Five minutes of a study as the page of neighbours draws them: which traces, the stages below, and what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from sleepfm.errors import RequestError
from sleepfm.recording.derivations import Derivation, montages
from sleepfm.recording.quality import FLAG_WORDS, UNUSABLE, QualityReport
from sleepfm.recording.recording import Recording
from sleepfm.viewer.overview import describe_traces
from sleepfm.viewer.study_source import NamedScoring, StudySource
from sleepfm.vocabulary import EPOCH_S, WINDOW_S, Kind, Modality, Stage

ROWS = {1: 4, 2: 3}
"""Traces of each modality, by how many modalities a clip shows; of more two each."""
LAST_KINDS = frozenset({Kind.SNORE, Kind.CO2, Kind.PULSE, Kind.PLETH, Kind.POSITION, Kind.ACTIVITY, Kind.PAP})
"""Shown when the other kinds leave room."""
MOSTLY = 0.5
"""A channel counts as bad in a clip when more of its epochs than this are unusable."""


def clip(source: StudySource, study_id: str, start_s: float, modalities: Sequence[Modality]) -> dict[str, Any]:
    """Return what the browser needs to draw a clip, ready for JSON; the samples come from the window route.

    Parameters
    ----------
    source, study_id
        The study.
    start_s
        First second, from the recording's start.
    modalities
        Which to show, in this order.

    Raises
    ------
    RequestError
        There is no such study, or the clip does not begin within the recording.
    """
    recording = source.recording(study_id)
    if not 0 <= start_s < recording.duration_s:
        raise RequestError(f"a clip from {start_s:g} s is not within the recording of {recording.duration_s:g} s")
    stop_s = start_s + WINDOW_S
    report = source.quality(study_id)
    rows = ROWS.get(len(modalities), 2)
    chosen = [one for modality in modalities for one in _telling(_traces_of(recording, modality), rows)]
    bad = ["" if report is None else _found(report, one.plus, start_s, stop_s) for one in chosen]
    scoring = next(iter(source.scorings(study_id)), None)
    return {
        "study": study_id,
        "start": None if recording.start is None else recording.start.isoformat(timespec="milliseconds"),
        "start_s": start_s,
        "stop_s": stop_s,
        "duration_s": recording.duration_s,
        "simulated": recording.simulated,
        "gaps": [list(gap) for gap in recording.gaps if gap[0] < stop_s and gap[1] > start_s],
        "traces": [{**trace, "bad": why} for trace, why in zip(_described(recording, chosen), bad, strict=True)],
        "wrong": {modality.value: _wrong(recording, report, modality, start_s, stop_s) for modality in modalities},
        "stages": [] if scoring is None else _stages(scoring, start_s, stop_s),
        "scorer": "" if scoring is None else scoring.label,
    }


def _traces_of(recording: Recording, modality: Modality) -> list[Derivation]:
    """Return the traces of a modality in the first montage that has any, which is the one the review page opens with."""
    for montage in montages(recording):
        if found := [one for one in montage.traces if one.modality is modality]:
            return found
    return []


_known: WeakKeyDictionary[Recording, dict[tuple[Derivation, ...], list[dict[str, Any]]]] = WeakKeyDictionary()
"""Of open recordings: fitting the scales reads epochs of the whole night, which another clip of it need not do again."""


def _described(recording: Recording, chosen: list[Derivation]) -> list[dict[str, Any]]:
    known = _known.setdefault(recording, {})
    if tuple(chosen) not in known:
        known[tuple(chosen)] = describe_traces(recording, chosen)
    return known[tuple(chosen)]


def _telling(traces: Sequence[Derivation], rows: int) -> list[Derivation]:
    """Return so many of a modality's traces, of different kinds before several of one, in the montage's order."""
    seen: Counter[Kind] = Counter()
    ranked: list[tuple[bool, int, int]] = []
    for index, one in enumerate(traces):
        ranked.append((one.kind in LAST_KINDS, seen[one.kind], index))
        seen[one.kind] += 1
    return [traces[index] for index in sorted(index for *_, index in sorted(ranked)[:rows])]


def _stages(scoring: NamedScoring, start_s: float, stop_s: float) -> list[dict[str, Any]]:
    """Return the epochs that touch the clip; beyond the scoring they are unknown."""
    stages = scoring.scoring.stages
    first, last = int(start_s // EPOCH_S), int(np.ceil(stop_s / EPOCH_S))
    return [
        {"start": k * EPOCH_S, "stage": int(stages[k]) if k < len(stages) else int(Stage.UNKNOWN)} for k in range(first, last)
    ]


def _flags(report: QualityReport, index: int, start_s: float, stop_s: float) -> np.ndarray:
    return report.of(index)[int(start_s // EPOCH_S) : int(np.ceil(stop_s / EPOCH_S))]


def _found(report: QualityReport, index: int, start_s: float, stop_s: float) -> str:
    """Return what makes a channel unusable in most of the clip, "" when it is usable."""
    flags = _flags(report, index, start_s, stop_s) if index in report.channels else np.zeros(0, dtype=np.uint8)
    if not flags.size or np.mean((flags & UNUSABLE) != 0) <= MOSTLY:
        return ""
    return ", ".join(word for flag, word in FLAG_WORDS.items() if flag & UNUSABLE and (flags & flag).any())


def _wrong(recording: Recording, report: QualityReport | None, modality: Modality, start_s: float, stop_s: float) -> str:
    """Return why a modality cannot be seen in the clip, in a few words; "" when it can."""
    indices = [channel.index for channel in recording.channels if channel.modality is modality]
    if not indices:
        return f"this night has no {modality}"
    if any(gap_start <= start_s and gap_stop >= stop_s for gap_start, gap_stop in recording.gaps):
        return "the recording has a gap here"
    if report is None:
        return ""
    found = [_found(report, index, start_s, stop_s) for index in indices]
    return f"{modality} is {found[0]} here" if all(found) else ""

"""Scoring the events of a night: what came out, and from what."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

import sleepfm
from sleepfm.errors import MissingChannelsError, RecordingError, RequestError
from sleepfm.inference.event_process import score_apart
from sleepfm.inference.event_signals import EEGS, FLOWS, LEGS, Part, event_traces
from sleepfm.inference.psgscoring_engine import profiles
from sleepfm.inference.psgscoring_night import EngineEvents, EngineNight, source_name
from sleepfm.progress import Progress, part, silent
from sleepfm.recording.quality import QualityReport, assess
from sleepfm.recording.recording import Recording
from sleepfm.recording.scorings.event_texts import events_from_annotations
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.signals.desaturations import desaturations
from sleepfm.signals.vitals import Vitals, measure_vitals
from sleepfm.vocabulary import EPOCH_S, EventName, Kind, Stage

ENGINE = "psgscoring"
DEFAULT_PROFILE = "aasm_v3_breath"
"""AASM v3 rule 1A with both its limbs: a hypopnea needs a desaturation of 3 % or an arousal. psgscoring's own default,
aasm_v3_rec, leaves the arousal out, and says itself that it therefore does not conform to the rule."""
_OWN_SOURCE = f"sleepfm {sleepfm.__version__}"
_INDEX_NAMES = {"odi3": 3.0, "odi4": 4.0}
_LITTLE_SLEEP_H = 0.5


@dataclass(frozen=True)
class EventIndex:
    """A rate per hour of sleep, with an interval where its maker gives one.

    Attributes
    ----------
    value
        Events per hour of sleep.
    low, high
        What stricter and looser readings of the rule give; None where nobody computed one. No confidence interval.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, eq=False)
class EventScoring:
    """The events of a night as an engine scored them.

    Attributes
    ----------
    events
        In order of time, in every stage; `source` is the engine with version and profile.
    indices
        By key: "ahi", "odi3", "odi4", "arousal_index", "plmi", "rera_index"; what could not be scored has none.
    skipped
        What was not scored → why, a sentence.
    engine, model
        "psgscoring" and the profile of rules.
    provenance
        At least `engine`, `model`, `version`, `label`, `note`, `warnings`.
    """

    events: tuple[Event, ...]
    indices: dict[str, EventIndex]
    skipped: dict[str, str]
    engine: str
    model: str
    provenance: dict[str, Any]

    @property
    def counts(self) -> dict[str, int]:
        """How many events there are by name, in every stage; names without any are there with 0."""
        found = Counter(event.name for event in self.events)
        return {name.value: found[name.value] for name in _SCORED}


_SCORED = (
    EventName.OBSTRUCTIVE_APNEA,
    EventName.CENTRAL_APNEA,
    EventName.MIXED_APNEA,
    EventName.HYPOPNEA,
    EventName.RERA,
    EventName.DESATURATION,
    EventName.AROUSAL,
    EventName.LEG_MOVEMENT,
    EventName.PLM,
)


_LOOKED_FOR = {
    "Apneas and hypopneas": _SCORED[:4],
    "RERA": (EventName.RERA,),
    "Desaturations": (EventName.DESATURATION,),
    "Arousals": (EventName.AROUSAL,),
    "Leg movements": (EventName.LEG_MOVEMENT, EventName.PLM),
}
"""What is skipped, if at all, → the events that it is about."""


def require_profile(profile: str) -> None:
    """Raise RequestError when psgscoring has no profile of rules of this name."""
    if profile == DEFAULT_PROFILE:
        return  # without loading psgscoring here
    known = profiles()
    if profile not in known:
        raise RequestError(f"psgscoring has no profile {profile!r}; it has {', '.join(known)}")


def score_events(
    recording: Recording,
    scoring: Scoring,
    *,
    name: str,
    unusable: Sequence[int] = (),
    profile: str = DEFAULT_PROFILE,
    vitals: Vitals | None = None,
    quality: QualityReport | None = None,
    progress: Progress = silent,
) -> EventScoring:
    """Score respiratory events, desaturations, arousals and leg movements of a night with psgscoring, in a process of its own.

    An epoch that a gap touches, or in which no airflow channel has a usable signal, is left out: nothing is scored there and it
    counts as no time. Events are marked in every stage; the indices count those that begin in sleep. What the recording itself
    marks and psgscoring does not score (lights off and on, snoring, artefacts) goes along.

    Parameters
    ----------
    recording
        Open, with the user's channel corrections applied.
    scoring
        Stages of the night; an Unknown epoch counts as no sleep, and so does one that the scoring does not reach.
    name
        What to call the recording in messages.
    unusable
        0-based epochs that are not to be scored beside those.
    profile
        One of psgscoring's profiles of rules.
    vitals, quality
        Of the recording, where they are known already.
    progress
        May raise Cancelled: the process is ended then.

    Raises
    ------
    RequestError
        When psgscoring has no such profile.
    MissingChannelsError
        When the recording has no channel that anything can be scored from.
    RecordingError
        When the recording has no whole epoch, or the engine fails on it.
    """
    started = time.monotonic()
    require_profile(profile)
    epochs = int((recording.duration_s + 1e-6) // EPOCH_S)
    if epochs == 0:
        raise RecordingError(f"{name}: {recording.duration_s:.0f} s long, scoring events needs at least one whole 30-s epoch")
    quality = quality or assess(recording, part(progress, 0.0, 0.05))
    vitals = vitals or measure_vitals(recording, part(progress, 0.05, 0.08))
    traces = event_traces(recording, vitals, quality, epochs, part(progress, 0.08, 0.12))
    if not set(traces) & {*FLOWS, *EEGS, *LEGS, Part.SPO2}:
        raise MissingChannelsError(
            f"{name}: no usable channel of airflow, SpO2, EEG or leg EMG, so no events can be scored; if a channel has an unusual"
            " label, correct its kind on the Review page"
        )
    stages = np.full(epochs, Stage.UNKNOWN, dtype=np.int8)
    stages[: len(scoring.stages)] = scoring.stages[:epochs]
    left_out = _left_out(recording, traces, epochs, unusable)
    night = EngineNight(traces, stages, left_out, profile)
    if set(traces) & {*FLOWS, *EEGS, *LEGS}:
        found = score_apart(night, name=name, progress=part(progress, 0.12, 1.0))
    else:
        found = EngineEvents(
            skipped=dict.fromkeys(("Apneas and hypopneas", "RERA", "Arousals", "Leg movements"), "no usable channel")
        )
    _add_desaturations(found, vitals, night)
    found.events += [event for event in events_from_annotations(recording.annotations()) if event.name not in _SCORED]
    events = sorted(_within(found.events, recording.duration_s), key=lambda event: (event.start_s, event.stop_s))
    indices = {
        key: EventIndex(round(value, 2), *(None if one is None else round(one, 2) for one in interval))
        for key, (value, *interval) in found.rates.items()
    }
    hours = float(((stages > Stage.WAKE) & ~left_out).sum()) * EPOCH_S / 3600
    if any(channel.kind is Kind.PAP for channel in recording.channels):
        found.remarks.append("There are channels of a PAP device: the indices may mix hours with and without therapy.")
    provenance = _provenance(found, night, vitals, scoring, hours) | {
        "indices": {key: asdict(index) for key, index in indices.items()},
        "seconds": round(time.monotonic() - started, 1),
    }
    progress(1.0, "events are scored")
    return EventScoring(tuple(events), indices, found.skipped, ENGINE, profile, provenance)


def _left_out(recording: Recording, traces: dict[Part, Any], epochs: int, unusable: Sequence[int]) -> np.ndarray:
    """Return (epochs,) bool: those that a gap touches, without any airflow where there is a channel of it, or asked for."""
    left_out = np.zeros(epochs, dtype=bool)
    for start_s, stop_s in recording.gaps:
        left_out[int(start_s // EPOCH_S) : math.ceil(stop_s / EPOCH_S)] = True
    flows = [traces[flow].unusable for flow in FLOWS if flow in traces]
    if flows:
        left_out |= np.logical_and.reduce(flows)
    left_out[[epoch for epoch in unusable if 0 <= epoch < epochs]] = True
    return left_out


def _add_desaturations(found: EngineEvents, vitals: Vitals, night: EngineNight) -> None:
    if Part.SPO2 not in night.traces:
        found.skipped["Desaturations"] = "no usable SpO2 channel"
        return
    falls = desaturations(vitals.spo2_1hz)
    found.events += [
        Event(
            float(fall.start_s),
            float(fall.stop_s),
            EventName.DESATURATION,
            vitals.spo2_channel,
            _OWN_SOURCE,
            {"Desaturation": fall.depth, "NadirSpO2": fall.nadir},
        )
        for fall in falls
    ]
    asleep = (night.stages > Stage.WAKE) & ~night.unusable
    hours = float(asleep.sum()) * EPOCH_S / 3600
    if hours:
        began = [min(int(fall.start_s // EPOCH_S), len(asleep) - 1) for fall in falls]
        for key, least in _INDEX_NAMES.items():
            counted = sum(asleep[epoch] and fall.depth >= least for epoch, fall in zip(began, falls, strict=True))
            found.rates[key] = (float(counted) / hours, None, None)


def _looked_for(skipped: Mapping[str, str]) -> set[str]:
    """Return the names of the events of which none means that there are none."""
    names: set[str] = set()
    for what, found in _LOOKED_FOR.items():
        if what not in skipped:
            names |= {name.value for name in found}
    return names - {EventName.HYPOPNEA.value} if "Hypopneas" in skipped else names


def _runs(chosen_n: np.ndarray) -> list[list[int]]:
    """Return the runs of chosen epochs, each [first, stop), 0-based."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen_n.astype(np.int8), [0]])))
    return [[int(first), int(stop)] for first, stop in edges.reshape(-1, 2)]


def _within(events: Sequence[Event], duration_s: float) -> list[Event]:
    """Return the events that touch the recording, cut at its ends."""
    return [
        replace(event, start_s=round(max(event.start_s, 0.0), 3), stop_s=round(min(event.stop_s, duration_s), 3))
        for event in events
        if event.start_s < duration_s and event.stop_s >= 0
    ]


def _provenance(found: EngineEvents, night: EngineNight, vitals: Vitals, scoring: Scoring, sleep_hours: float) -> dict[str, Any]:
    source = source_name(night.profile)
    remarks = [*found.remarks, *vitals.remarks]
    unknown = int((night.stages == Stage.UNKNOWN).sum())
    if unknown:
        remarks.append(f"{unknown} of {len(night.stages)} epochs are Unknown: they count as no sleep.")
    if night.unusable.any():
        remarks.append(
            f"{int(night.unusable.sum())} of {len(night.stages)} epochs have a gap or no airflow signal: nothing is scored there."
        )
    if not sleep_hours:
        remarks.append("No epoch is scored as sleep: there are no indices.")
    elif sleep_hours < _LITTLE_SLEEP_H:
        remarks.append(f"Only {60 * sleep_hours:.3g} min are scored as sleep: indices per hour say little.")
    channels = {part.value: trace.label for part, trace in night.traces.items()}
    return {
        "engine": ENGINE,
        "model": night.profile,
        "version": source.split()[1],
        "label": "psgscoring",
        "note": f"{source}, stages by {scoring.scorer or 'an unnamed scorer'}",
        "software": f"sleepfm {sleepfm.__version__}",
        "stages": scoring.scorer,
        "channels": channels,
        "sleep_hours": round(sleep_hours, 3),
        "epochs_left_out": int(night.unusable.sum()),
        "left_out": _runs(night.unusable),
        "desaturations": _OWN_SOURCE,
        "looked_for": sorted(_looked_for(found.skipped)),
        "skipped": found.skipped,
        "warnings": remarks,
        **found.about,
    }

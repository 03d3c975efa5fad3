"""The channels that events are scored from: which of a recording's channels plays which part, brought to one rate."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import soxr

from sleepfm.progress import Progress, silent
from sleepfm.recording.derivations import Derivation, offered, read_derivation
from sleepfm.recording.quality import UNUSABLE, QualityFlag, QualityReport
from sleepfm.recording.recording import Recording
from sleepfm.signals.display_filters import DisplayFilter, apply_filter
from sleepfm.signals.vitals import NO_POSITION, Vitals
from sleepfm.vocabulary import EPOCH_S, Kind

RATE_HZ = 100.0
"""Of everything but the legs: arousals are found at 50 Hz, breathing below 5 Hz, and a longer night still fits into memory."""
LEG_RATE_HZ = 200.0
"""Leg movements are looked for from 10 to 100 Hz (AASM VII)."""
_BREATHING = DisplayFilter(low_pass_hz=1.0)
"""What psgscoring is given of airflow. By itself it keeps what is up to 3 Hz: an apnea is none to it when the second derivative,
which a sensor's noise rules, stays above a level, and noise makes breaths and flattenings for it that are none."""
_LEAST_EEG_RATE_HZ = 50.0
_LARGEST_V = 0.009
"""psgscoring takes electrode signals for volts while none of them is beyond 0.01 V; nothing larger comes from a body."""
_SAME_QUALITY = 0.1
"""Channels whose shares of unusable epochs differ by less are equally good: the first of the file is taken."""


class Part(StrEnum):
    """What a channel is to the scoring."""

    NASAL_PRESSURE = "nasal pressure"
    THERMISTOR = "thermistor"
    FLOW = "flow"
    THORAX = "thorax effort"
    ABDOMEN = "abdomen effort"
    SPO2 = "SpO2"
    HEART_RATE = "heart rate"
    ECG = "ECG"
    POSITION = "position"
    CENTRAL = "central EEG"
    FRONTAL = "frontal EEG"
    OCCIPITAL = "occipital EEG"
    OTHER_EEG = "EEG"
    EOG = "EOG"
    CHIN = "chin EMG"
    LEG = "leg EMG"
    OTHER_LEG = "other leg EMG"


FLOWS = (Part.NASAL_PRESSURE, Part.THERMISTOR, Part.FLOW)
EEGS = (Part.CENTRAL, Part.FRONTAL, Part.OCCIPITAL, Part.OTHER_EEG)
LEGS = (Part.LEG, Part.OTHER_LEG)
_KINDS = {
    Part.NASAL_PRESSURE: Kind.NASAL_PRESSURE,
    Part.THERMISTOR: Kind.THERMISTOR,
    Part.FLOW: Kind.FLOW,
    Part.THORAX: Kind.EFFORT_THORAX,
    Part.ABDOMEN: Kind.EFFORT_ABDOMEN,
    Part.ECG: Kind.ECG,
    Part.EOG: Kind.EOG,
    Part.CHIN: Kind.CHIN_EMG,
}
_REGIONS = {"C": Part.CENTRAL, "F": Part.FRONTAL, "O": Part.OCCIPITAL}
_ELECTRODE = re.compile(r"(?<![A-Z])([CFO])[1-6Z](?![0-9])")
_REFERENCED = re.compile(r"\w\s*[-:/]\s*\w")
_BELTS = (Part.THORAX, Part.ABDOMEN)
_TO_VOLTS = {"µV": 1e-6, "mV": 1e-3, "V": 1.0}


@dataclass(frozen=True, eq=False)
class Trace:
    """One signal of the night.

    Attributes
    ----------
    label
        Of the channel or derivation. Hostile text.
    x
        (samples,) float32 at `rate_hz` from the recording's start; electrode signals in V, breathing in multiples of its usual
        size, SpO2 in % and 0 where there is none; gaps are 0.
    unusable
        (epochs,) bool: epochs that a gap touches or that are flat, clipped, disconnected or out of range.
    """

    label: str
    rate_hz: float
    x: np.ndarray
    unusable: np.ndarray


def event_traces(
    recording: Recording, vitals: Vitals, quality: QualityReport, epochs: int, progress: Progress = silent
) -> dict[Part, Trace]:
    """Read the channels that events are scored from.

    Of several channels that could play a part the one with the fewest unusable epochs is taken; a channel that is unusable
    all night plays none. EEG comes as derivations where only unreferenced leads were recorded.

    Parameters
    ----------
    vitals
        Oxygen, heart rate and position once a second.
    quality
        Of this recording.
    epochs
        Whole 30-s epochs of the recording.
    """
    chosen = _chosen(recording, quality, epochs)
    traces: dict[Part, Trace] = {}
    for number, (part, (derivation, unusable)) in enumerate(chosen.items()):
        progress(number / len(chosen), f"reading {derivation.label}")
        rate = LEG_RATE_HZ if part in LEGS else RATE_HZ
        x = _at_rate(recording, derivation, rate)
        if part in FLOWS:
            x = apply_filter(x[None], rate, _BREATHING)[0].astype(np.float32)
        if part not in (*FLOWS, *_BELTS):
            volts = _TO_VOLTS.get(recording.channel(derivation.plus).unit, _TO_VOLTS["µV"])
            x = np.clip(x * np.float32(volts), -_LARGEST_V, _LARGEST_V)
        traces[part] = Trace(derivation.label, rate, x, unusable)
    units = {recording.channel(chosen[part][0].plus).unit for part in _BELTS if part in chosen}
    belts = [_BELTS] if len(units) == 1 else [(belt,) for belt in _BELTS]
    for together in (*((flow,) for flow in FLOWS), *belts):  # how belts of one unit compare says which of them works
        _make_unitless([traces[part] for part in together if part in traces])
    samples = math.ceil(recording.duration_s * RATE_HZ)
    for part, label, values in (
        (Part.SPO2, vitals.spo2_channel, np.nan_to_num(vitals.spo2_1hz)),
        (Part.HEART_RATE, vitals.heart_channel, _bridged(vitals.heart_rate_1hz)),
        (Part.POSITION, vitals.position_channel, _held(vitals.position_1hz)),
    ):
        if label and values.any():
            x = np.repeat(values.astype(np.float32), int(RATE_HZ))[:samples]
            missing: np.ndarray = (values[: epochs * int(EPOCH_S)] == 0).reshape(epochs, -1).all(axis=1)
            traces[part] = Trace(label, RATE_HZ, x, missing)
    return traces


def _chosen(recording: Recording, quality: QualityReport, epochs: int) -> dict[Part, tuple[Derivation, np.ndarray]]:
    """Return what plays each part, with its unusable epochs."""
    derived = offered(recording.channels)
    replaced = {index for one in derived for index in (one.plus, *one.minus)}
    recorded = [
        Derivation(channel.label, channel.index, (), channel.kind, channel.modality)
        for channel in recording.channels
        if channel.index not in replaced
    ]
    candidates = [
        (one, _unusable(quality, one, epochs))
        for one in (*derived, *recorded)
        if one.kind is not Kind.EEG or recording.channel(one.plus).rate_hz >= _LEAST_EEG_RATE_HZ
    ]
    candidates = [(one, unusable) for one, unusable in candidates if not unusable.all()]
    candidates.sort(key=lambda found: not _REFERENCED.search(found[0].label))  # "C3-M2" before "C3", where a file has both
    chosen: dict[Part, tuple[Derivation, np.ndarray]] = {}
    for part, kind in _KINDS.items():
        best = _best([found for found in candidates if found[0].kind is kind])
        if best is not None and (part is not Part.FLOW or not chosen.keys() & set(FLOWS)):
            chosen[part] = best
    eeg = [found for found in candidates if found[0].kind is Kind.EEG]
    for part in EEGS:
        best = _best([found for found in eeg if region(found[0].label) is part])
        if best is not None and (part is not Part.OTHER_EEG or not chosen.keys() & set(EEGS)):
            chosen[part] = best
    legs = [found for found in candidates if found[0].kind is Kind.LEG_EMG]
    for part in LEGS:
        best = _best([found for found in legs if all(found is not taken for taken in chosen.values())])
        if best is not None:
            chosen[part] = best
    return chosen


def region(label: str) -> Part:
    """Return the part that an EEG of this label plays: by its first electrode of the 10-20 system."""
    found = _ELECTRODE.search(label.upper())
    return _REGIONS[found[1]] if found else Part.OTHER_EEG


def _unusable(quality: QualityReport, derivation: Derivation, epochs: int) -> np.ndarray:
    flags = [quality.of(index)[:epochs] & (UNUSABLE | QualityFlag.GAP) != 0 for index in (derivation.plus, *derivation.minus)]
    unusable: np.ndarray = np.logical_or.reduce(flags)
    return unusable


def _best(candidates: Sequence[tuple[Derivation, np.ndarray]]) -> tuple[Derivation, np.ndarray] | None:
    """Return the first of those with hardly more unusable epochs than the best has."""
    if not candidates:
        return None
    least = min(float(unusable.mean()) for _, unusable in candidates)
    return next(found for found in candidates if found[1].mean() <= least + _SAME_QUALITY)


def _at_rate(recording: Recording, derivation: Derivation, rate_hz: float) -> np.ndarray:
    """Return the whole night, (samples,) float32 at this rate, around its own median; gaps are 0."""
    native = recording.channel(derivation.plus).rate_hz
    night = np.zeros(math.ceil(recording.duration_s * rate_hz), dtype=np.float32)
    pieces = [(start_s, read_derivation(recording, derivation, start_s, stop_s)) for start_s, stop_s in recording.segments()]
    centre = np.float32(np.nanmedian(np.concatenate([piece for _, piece in pieces])))
    for start_s, piece in pieces:
        x = np.nan_to_num(piece - centre)
        y = x if native == rate_hz else soxr.resample(x, native, rate_hz, quality="HQ")
        first = round(start_s * rate_hz)
        night[first : first + len(y)] = y[: max(0, len(night) - first)]
    return night


def _make_unitless(traces: Sequence[Trace]) -> None:
    """Divide traces by their usual size, the larger of theirs: psgscoring takes breathing below 1e-5 of any unit for none."""
    sizes = [float(np.diff(np.percentile(trace.x[:: int(trace.rate_hz) // 10], (16, 84)))[0]) / 2 for trace in traces]
    if sizes and max(sizes) > 0:
        for trace in traces:
            np.divide(trace.x, np.float32(max(sizes)), out=trace.x)


def _bridged(values: np.ndarray) -> np.ndarray:
    """Return the values with those that are NaN drawn between their neighbours; zeros when there are none."""
    known = np.flatnonzero(np.isfinite(values))
    return np.interp(np.arange(len(values)), known, values[known]) if len(known) else np.zeros(len(values))


def _held(codes: np.ndarray) -> np.ndarray:
    """Return codes of positions with the last known one in place of those that are not known."""
    known = codes != NO_POSITION
    last = np.maximum.accumulate(np.where(known, np.arange(len(codes)), 0))
    return np.where(known[last], codes[last], 0)

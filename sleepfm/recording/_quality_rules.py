"""When an epoch of a channel is not to be trusted: every limit with its source, and the rules that apply them.

"Luna" is the QC command of Luna (zzz.bwh.harvard.edu/luna, reference, artifacts); "ours" is a choice made here, with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np

from sleepfm.recording._quality_measures import EpochMeasures
from sleepfm.recording.recording import Channel
from sleepfm.vocabulary import EPOCH_S, Kind


class QualityFlag(IntFlag):
    """What was found in one epoch of one channel."""

    FLAT = 1
    """No signal."""
    CLIPPED = 2
    """The signal is cut off at a limit."""
    DISCONNECTED = 4
    """What an electrode or sensor gives that has no, or bad, contact."""
    LINE_NOISE = 8
    """Mains hum; a notch filter removes it, so the epoch is not bad for it."""
    OUT_OF_RANGE = 16
    """Values that the body does not give."""
    GAP = 32
    """More than half of the epoch is missing; neither good nor bad."""


BAD = QualityFlag.FLAT | QualityFlag.CLIPPED | QualityFlag.DISCONNECTED | QualityFlag.OUT_OF_RANGE
"""The flags that make an epoch bad."""

LEAST_PRESENT = 0.5
"""An epoch with less of its samples is a gap (ours)."""
STILL_SHARE = 0.8
"""Flat: this share of successive samples is equal (Luna: near-zero derivatives)."""
CLIPPED_SHARE = 0.01
"""Clipped: this share of samples lies at the limits of the converter, or on a plateau at the channel's own extreme (Luna)."""
PLATEAU_STEPS = 100
"""A plateau tells of clipping only in a channel that spans as many converter steps (ours: a coarse peak is flat anyway)."""
FAR_SHARE = 0.05
"""Out of range: this share of samples is far from the epoch's mean (Luna: 500 µV)."""
HIGH_TO_LOW = 1.5
"""Disconnected, EEG: P[20-40 Hz] over P[0.5-20 Hz] (Luna), the noise of a bad contact."""
HUM_SHARE = 0.5
"""Disconnected: mains hum holds this share of the fast power and exceeds the kind's `hum` (ours: an open input is an aerial)."""
DRIFT_RATIO = 10.0
"""Disconnected: the deviation is this many times the fast one, which itself is flat (ours: a drifting input without a body)."""
LINE_PEAK = 10.0
"""Line noise: the mains frequency holds this many times the power of its neighbours, 10 dB (ours) ..."""
LINE_SHARE = 0.1
"""... and this share of the fast power: a third of the rest in amplitude, so that it is seen (ours)."""
WAVEFORM_HZ = 32.0
"""Slower electrode channels hold no waveform but an envelope (Sleep-EDF: EMG at 1 Hz); only constancy is judged (ours)."""
BREATHING_RATIO = 0.02
"""Flat, breathing: deviation below this share of the night's upper quartile (ours) ..."""
BREATHING_HOLD_S = 120.0
"""... for as long (Luna's window for breathing): an apnea is shorter."""
BREATHING_STEPS = 2.0
"""Flat, breathing: or a range of so few converter steps for as long (ours)."""
OUTSIDE_SHARE = 0.1
"""Numbers (SpO2, pulse): this share of samples outside the range, or without a reading (Luna: 10 % outside 50-100 %)."""
NUMBER_HOLD_S = 300.0
"""Flat, numbers: the deviation over as long is below the kind's limit (Luna: 10 epochs, SpO2 0.2 %)."""
STEP_RATE_HZ = 1.0
"""Steps between successive readings are judged where readings are not further apart than a second (ours)."""


@dataclass(frozen=True)
class ElectrodeLimits:
    """Limits of an electrode's channel, in `unit`; None: not judged.

    Attributes
    ----------
    flat
        Deviation below which an epoch is flat.
    far
        Distance from the epoch's mean beyond which samples are out of range.
    strong
        Deviation within 2 s above which the epoch is out of range.
    hum
        RMS of mains hum above which a channel that consists of hum is disconnected.
    step
        Change within 4 ms above which an electrode has popped.
    small, large
        Median deviation within 2 s below and above which the unit is suspected.
    """

    unit: str
    flat: float
    far: float | None
    strong: float | None
    hum: float
    step: float | None
    small: float
    large: float


# flat, far and strong: Luna. hum: ours, a connected electrode (AASM: below 5 kOhm) picks up a few µV.
# step: ours; brain and eyes change by less than 10 µV/ms, and 50 µV/ms is the usual gradient limit of EEG analysis programs.
# small, large: ours, a tenth of the flat limit and far beyond any living signal: a factor of 1000 is never missed.
_EEG = ElectrodeLimits("µV", flat=2.0, far=500.0, strong=None, hum=30.0, step=100.0, small=0.2, large=2000.0)
_EOG = ElectrodeLimits("µV", flat=3.0, far=500.0, strong=None, hum=30.0, step=None, small=0.3, large=2000.0)
_EMG = ElectrodeLimits("µV", flat=0.5, far=None, strong=150.0, hum=50.0, step=None, small=0.05, large=5000.0)
_ECG = ElectrodeLimits("mV", flat=0.02, far=None, strong=None, hum=0.5, step=None, small=0.002, large=20.0)
ELECTRODES: dict[Kind, ElectrodeLimits] = {
    Kind.EEG: _EEG,
    Kind.EOG: _EOG,
    Kind.CHIN_EMG: _EMG,
    Kind.LEG_EMG: _EMG,
    Kind.ARM_EMG: _EMG,
    Kind.OTHER_EMG: _EMG,
    Kind.ECG: _ECG,
}


@dataclass(frozen=True)
class NumberLimits:
    """Limits of a channel of readings, in `unit`: range, deviation over `NUMBER_HOLD_S` that is flat, largest step."""

    unit: str
    inside: tuple[float, float]
    flat: float
    step: float | None


NUMBERS: dict[Kind, NumberLimits] = {
    Kind.SPO2: NumberLimits("%", inside=(50.0, 100.0), flat=0.2, step=4.0),  # Luna
    Kind.PULSE: NumberLimits("bpm", inside=(20.0, 250.0), flat=1e-3, step=None),  # ours: what pulse oximeters can show
}
BREATHING = frozenset(
    {Kind.FLOW, Kind.NASAL_PRESSURE, Kind.THERMISTOR, Kind.EFFORT_THORAX, Kind.EFFORT_ABDOMEN, Kind.EFFORT_SUM, Kind.CO2}
)
WAVES = BREATHING | {Kind.PLETH, Kind.SNORE}
"""Waveforms in units of their own: judged against themselves."""


def judge(channel: Channel, measures: EpochMeasures) -> tuple[np.ndarray, str]:
    """Return the flags of each epoch, (n_epochs,) uint8, and what speaks for a wrong unit ("" when nothing does)."""
    flags = np.zeros(len(measures.present), dtype=np.uint8)
    gap = measures.present < LEAST_PRESENT
    wrong_unit = ""
    if channel.kind in ELECTRODES:
        wrong_unit = _electrode_unit(channel, measures, ~gap)
        _judge_electrode(flags, channel, measures, unit_known=not wrong_unit)
    elif channel.kind in NUMBERS:
        wrong_unit = _number_unit(channel, measures, ~gap)
        _judge_numbers(flags, channel, measures, gap, unit_known=not wrong_unit)
    elif channel.kind in WAVES:
        _judge_wave(flags, channel, measures, gap)
    elif channel.kind is Kind.OTHER and (~gap).any() and measures.low[~gap].min() == measures.high[~gap].max():
        flags[:] = QualityFlag.FLAT  # what else it may be, it says nothing; a still marker, light or position does
    flags[gap] = QualityFlag.GAP
    return flags, wrong_unit


def _mark(flags: np.ndarray, where: np.ndarray, flag: QualityFlag) -> None:
    flags[where] |= np.uint8(flag)


def _judge_electrode(flags: np.ndarray, channel: Channel, measures: EpochMeasures, *, unit_known: bool) -> None:
    limits = ELECTRODES[channel.kind]
    constant = measures.low == measures.high
    if channel.rate_hz < WAVEFORM_HZ:
        _mark(flags, constant, QualityFlag.FLAT)
        return
    _judge_clipping(flags, channel, measures)
    _mark(flags, constant | (measures.still >= STILL_SHARE), QualityFlag.FLAT)
    share = (measures.mains / measures.fast) ** 2
    _mark(flags, (measures.mains_peak >= LINE_PEAK) & (share >= LINE_SHARE), QualityFlag.LINE_NOISE)
    if channel.kind is Kind.EEG:
        _mark(flags, measures.high_to_low > HIGH_TO_LOW, QualityFlag.DISCONNECTED)
    if channel.unit != limits.unit or not unit_known:
        return
    _mark(flags, measures.deviation < limits.flat, QualityFlag.FLAT)
    drift = (measures.fast < limits.flat) & (measures.deviation > DRIFT_RATIO * limits.flat)
    _mark(flags, drift | ((measures.mains > limits.hum) & (share > HUM_SHARE)), QualityFlag.DISCONNECTED)
    if limits.step is not None:
        _mark(flags, measures.step > limits.step, QualityFlag.DISCONNECTED)
    if limits.far is not None:
        _mark(flags, measures.far >= FAR_SHARE, QualityFlag.OUT_OF_RANGE)
    if limits.strong is not None:
        _mark(flags, measures.fast > limits.strong, QualityFlag.OUT_OF_RANGE)


def _judge_clipping(flags: np.ndarray, channel: Channel, measures: EpochMeasures) -> None:
    _mark(flags, measures.at_limit >= CLIPPED_SHARE, QualityFlag.CLIPPED)
    if np.isnan(measures.low).all():
        return
    lowest, highest = np.nanmin(measures.low), np.nanmax(measures.high)
    if highest - lowest >= PLATEAU_STEPS * abs(channel.gain):
        plateau = np.where(measures.high == highest, measures.top, 0) + np.where(measures.low == lowest, measures.bottom, 0)
        _mark(flags, (plateau >= CLIPPED_SHARE) & (measures.low < measures.high), QualityFlag.CLIPPED)


def _judge_numbers(flags: np.ndarray, channel: Channel, measures: EpochMeasures, gap: np.ndarray, *, unit_known: bool) -> None:
    limits = NUMBERS[channel.kind]
    known = unit_known and channel.unit == limits.unit
    window = round(NUMBER_HOLD_S / EPOCH_S)
    flat = _still_for(measures, gap, window, limits.flat if known else 0.0)
    _mark(flags, flat, QualityFlag.FLAT)
    if not known:
        return
    _mark(flags, measures.none >= OUTSIDE_SHARE, QualityFlag.DISCONNECTED)
    _mark(flags, measures.outside >= OUTSIDE_SHARE, QualityFlag.OUT_OF_RANGE)
    if limits.step is not None and channel.rate_hz >= STEP_RATE_HZ:
        between = np.zeros(len(flags))
        between[1:] = np.abs(measures.first[1:] - measures.last[:-1])
        _mark(flags, (measures.step > limits.step) | (between > limits.step), QualityFlag.OUT_OF_RANGE)


def _judge_wave(flags: np.ndarray, channel: Channel, measures: EpochMeasures, gap: np.ndarray) -> None:
    _judge_clipping(flags, channel, measures)
    constant = measures.low == measures.high
    if channel.kind is Kind.SNORE:  # silence is flat, and nothing is wrong with it
        _mark(flags, _lasting(constant, gap, round(BREATHING_HOLD_S / EPOCH_S)), QualityFlag.FLAT)
        return
    if gap.all():
        return
    usual = np.percentile(measures.deviation[~gap], 75)
    faint = (measures.deviation < BREATHING_RATIO * usual) | (measures.high - measures.low <= BREATHING_STEPS * abs(channel.gain))
    _mark(flags, constant | _lasting(faint, gap, round(BREATHING_HOLD_S / EPOCH_S)), QualityFlag.FLAT)


def _electrode_unit(channel: Channel, measures: EpochMeasures, judged: np.ndarray) -> str:
    """Return why the unit of an electrode's channel is doubted. A channel of a few converter steps is dead, not mislabelled."""
    limits = ELECTRODES[channel.kind]
    living = judged & (measures.still < STILL_SHARE) & (measures.at_limit < CLIPPED_SHARE) & np.isfinite(measures.fast)
    if channel.unit != limits.unit or channel.rate_hz < WAVEFORM_HZ or not living.any():
        return ""
    typical = float(np.median(measures.fast[living]))
    if 0 < typical < limits.small and typical > 4 * abs(channel.gain):
        return (
            f"a typical deviation of {typical:.2g} {limits.unit} is far too small for {channel.kind}: the values look like "
            f"mV or V labelled {channel.original_unit or limits.unit}"
        )
    if typical > limits.large:
        return (
            f"a typical deviation of {typical:.3g} {limits.unit} is far too large for {channel.kind}: the values look like "
            f"µV or converter steps labelled {channel.original_unit or limits.unit}"
        )
    return ""


def _number_unit(channel: Channel, measures: EpochMeasures, judged: np.ndarray) -> str:
    if channel.kind is Kind.SPO2 and channel.unit in ("%", "") and judged.any():
        typical = float(np.median(measures.mean[judged]))
        if 0.3 < typical <= 1.0 and measures.high[judged].max() <= 1.5:
            return f"a typical value of {typical:.2g} looks like a fraction of 1, not like %"
    return ""


def _still_for(measures: EpochMeasures, gap: np.ndarray, window: int, limit: float) -> np.ndarray:
    """Return which epochs lie in a stretch of `window` judged epochs over which the deviation stays below the limit (or is 0)."""
    found = np.zeros(len(gap), dtype=bool)
    judged = np.flatnonzero(~gap)
    if len(judged) < window:
        return found
    n, total, squares = (
        np.convolve(one[judged], np.ones(window), "valid") for one in (measures.count, measures.total, measures.squares)
    )
    variance = squares / n - (total / n) ** 2
    highest = np.lib.stride_tricks.sliding_window_view(measures.high[judged], window).max(axis=1)
    lowest = np.lib.stride_tricks.sliding_window_view(measures.low[judged], window).min(axis=1)
    for first in np.flatnonzero((variance < limit**2) | (highest == lowest)):
        found[judged[first : first + window]] = True
    return found


def _lasting(mask: np.ndarray, gap: np.ndarray, least: int) -> np.ndarray:
    """Return the mask without its runs of fewer than `least` epochs; gaps neither break nor lengthen a run."""
    found = np.zeros(len(mask), dtype=bool)
    judged = np.flatnonzero(~gap)
    for start, stop in runs(mask[judged]):
        if stop - start >= least:
            found[judged[start:stop]] = True
    return found


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Return (start, stop) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))

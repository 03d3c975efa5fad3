"""The limits by which an epoch of a channel counts as flat, clipped, disconnected, noisy or out of range.

Those marked "Luna" are the defaults of Luna's signal QC (Purcell; zzz.bwh.harvard.edu/luna, reference "artifacts"); the others
are this project's own and say so.
"""

from __future__ import annotations

from dataclasses import dataclass

from sleepfm.vocabulary import Kind

CLIPPED_SHARE = 0.01
"""Share of samples at the limits of the converter from which an epoch is clipped (Luna)."""
PLATEAU_STEPS = 100
"""Own: as many samples that stay at the channel's own extreme are clipped too, if it spans so many converter steps."""
STILL_SHARE = 0.8
"""Share of steps that are zero from which an epoch is flat (Luna)."""
STEP_S = 0.01
"""Own: a step is taken over so long (a sample, where that is longer): between samples a smooth signal may hardly change."""
STILL_STEPS = 2.0
"""Own: an epoch that spans no more than so many converter steps is still."""
BREATH_STILL_EPOCHS = 10
"""Own: breathing that is still has stopped; only after 5 min, or when not even the last bit changes, is the channel at fault."""
STEADY_STILL_EPOCHS = 120
"""Own: nobody snores, or a number stays the same: an hour without any change is the channel's fault."""
BEYOND_SHARE = 0.05
"""Share of samples beyond the largest amplitude from which an epoch is out of range (Luna)."""
HIGH_BAND_HZ, LOW_BAND_HZ, HIGH_TO_LOW = (20.0, 40.0), (0.5, 20.0), 1.5
"""EEG: power ratio from which high frequencies drown the signal, as with a loose electrode (Luna)."""
BREATH_BAND_HZ, NOISE_BAND_HZ = (0.1, 1.0), (1.0, 10.0)
BREATH_TO_NOISE = 1.0
"""Breathing: power ratio below which noise outweighs breathing (bands: Luna; limit: own)."""
BREATH_EPOCHS = 5
"""Breathing is judged over so many epochs around each one: 150 s (Luna: 120 s), so that no single apnea counts as a fault."""
OUTSIDE_SHARE = 0.1
"""SpO2 and pulse: share of samples outside their range from which an epoch is out of range (Luna, SpO2)."""
SPO2_RANGE, PULSE_RANGE = (50.0, 100.0), (25.0, 220.0)
"""Values a sleeper can have (SpO2: Luna, pulse: own)."""
SPO2_JUMP = 4.0
"""Largest believable change of SpO2 from one second to the next, in % (Luna)."""
SPO2_FLAT_SD, SPO2_FLAT_EPOCHS = 0.2, 10
"""SpO2 with less spread over so many epochs is frozen (Luna) ..."""
SPO2_WHOLE_STEP, SPO2_WHOLE_FLAT_SD, SPO2_WHOLE_FLAT_EPOCHS = 0.5, 0.01, 120
"""... but an oximeter whose steps are larger shows a healthy sleeper's 97 % for many minutes: no change for an hour (own)."""
LINE_HZ, LEAST_LINE_HZ = (50.0, 60.0), 30.0
"""Mains. A recorder too slow for it may show it at a mirrored frequency; below 30 Hz it cannot be told from a brain rhythm."""
LINE_PROMINENCE, LINE_SHARE = 10.0, 0.1
"""Own: line noise is ten times denser than beside it and at least a tenth of the power above 0.5 Hz."""
HUM_UV, HUM_SHARE = 30.0, 0.5
"""Own: a lead that is off picks up hum of some 60 to 140 µV RMS, one that is on of a few; and hum is most of what varies."""
EMG_BAND_HZ = 10.0
"""Muscle is judged above this frequency, where the AASM manual filters it; below are drifts and movements of the lead."""
POP_UV, POP_STAYS, POP_BESIDE = 100.0, 0.6, 0.5
"""Own: a pop is a step of so much within `STEP_S` of which 60 % are left over the next 50 ms (a spike, a beat or a blink is
over or slower), and no other step within half a second is half as large (muscle and movement have many)."""
POP_LEAST_HZ = 200.0
"""Own: at lower rates a pop looks like any fast wave."""
BAD_SHARE, BAD_RUN_S = 0.5, 3600.0
"""A channel is bad when more than this share of its epochs is, or for this long without a break (Luna)."""
LEAST_DATA_S = 2.0
"""Own: less than this in an epoch is not judged."""
LEAST_WAVE_RATE_HZ = 10.0
"""Own: a trace sampled slower is an envelope or a trend; amplitude limits for waves do not hold for it."""


@dataclass(frozen=True)
class WaveLimits:
    """Limits of one kind of wave, in the unit `Channel.unit` has for it.

    Attributes
    ----------
    flat_sd
        Standard deviation below which an epoch is flat.
    largest, largest_rms
        Amplitude that at most 5 % of samples may exceed, and largest root mean square; None: not judged.
    usual_sd
        Range of standard deviations that healthy recordings have; far outside it the unit is suspected.
    electrode
        Whether 20-40 Hz power, electrode pops and a share of zero steps are judged.
    """

    flat_sd: float
    usual_sd: tuple[float, float]
    largest: float | None = None
    largest_rms: float | None = None
    electrode: bool = False


_EMG = WaveLimits(flat_sd=0.5, usual_sd=(0.3, 500.0), largest_rms=150.0)
WAVES: dict[Kind, WaveLimits] = {
    Kind.EEG: WaveLimits(flat_sd=2.0, usual_sd=(1.0, 500.0), largest=500.0, electrode=True),
    Kind.EOG: WaveLimits(flat_sd=3.0, usual_sd=(1.0, 1000.0), largest=500.0),
    Kind.CHIN_EMG: _EMG,
    Kind.LEG_EMG: _EMG,
    Kind.ARM_EMG: _EMG,
    Kind.OTHER_EMG: _EMG,
    Kind.ECG: WaveLimits(flat_sd=0.02, usual_sd=(0.01, 5.0)),
}
"""Luna's limits (flat: EEG 2 µV, EOG 3 µV, EMG 0.5 µV, ECG 0.02 mV; EEG 500 µV; EMG 150 µV); usual ranges are own."""
UNIT_OF_WAVE = {kind: "mV" if kind is Kind.ECG else "µV" for kind in WAVES}
BREATHING = frozenset({Kind.FLOW, Kind.NASAL_PRESSURE, Kind.THERMISTOR, Kind.EFFORT_THORAX, Kind.EFFORT_ABDOMEN, Kind.EFFORT_SUM})
STEADY = frozenset({Kind.SNORE, Kind.PULSE, Kind.CO2})
NEVER_CLIPPED = frozenset({Kind.SPO2, Kind.PULSE, Kind.CO2})
"""Numbers, not waves: 100 % saturation at the converter's limit is a healthy value."""
NUMBERS = {Kind.SPO2: ("%", SPO2_RANGE), Kind.PULSE: ("bpm", PULSE_RANGE)}
"""Unit and range of numbers; a channel without a unit is taken to be in it when its median lies in the range."""
CELSIUS_RANGE = (10.0, 45.0)
"""Own: bodies, rooms and breath are as warm; 37 degrees written as 98.6 or 3700 are not."""

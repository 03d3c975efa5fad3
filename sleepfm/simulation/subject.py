"""Who sleeps in a simulated study: the few traits that colour a night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Subject:
    """A simulated person.

    Attributes
    ----------
    age, sex, bmi
        Years, "female" or "male", kg/m².
    apnea_index
        Respiratory events an hour of sleep that the night aims at (what the night really holds is counted from its events).
    leg_index
        Periodic leg movements an hour of sleep that the night aims at.
    alpha_hz, alpha_gain
        Frequency of the waking rhythm (8.5 to 11.5 Hz) and its amplitude relative to the average person.
    spindle_hz
        Frequency of the fast (centro-parietal) spindles, 12.5 to 14 Hz.
    eeg_gain
        Amplitude of the whole EEG relative to the average (skull and electrodes).
    delta_gain
        Amplitude of slow waves relative to the average young adult; falls with age.
    heart_bpm
        Waking heart rate.
    breaths_per_min
        Breathing rate in N2.
    spo2
        Resting saturation in %.
    chin_gain
        Chin muscle amplitude (tone and electrode distance) relative to the average.
    """

    age: float
    sex: str
    bmi: float
    apnea_index: float
    leg_index: float
    alpha_hz: float
    alpha_gain: float
    spindle_hz: float
    eeg_gain: float
    delta_gain: float
    heart_bpm: float
    breaths_per_min: float
    spo2: float
    chin_gain: float


def draw_subject(rng: np.random.Generator) -> Subject:
    """Draw an adult of a sleep clinic: apnea rises with age, weight and male sex, slow waves fall with age."""
    age = float(np.round(np.clip(rng.normal(50, 14), 20, 85), 1))
    sex = "male" if rng.random() < 0.58 else "female"
    bmi = float(np.round(np.clip(rng.lognormal(np.log(27.5), 0.16), 18, 50), 1))
    log_ahi = 2.0 + 0.018 * (age - 50) + 0.06 * (bmi - 28) + (0.35 if sex == "male" else -0.35) + rng.normal(0, 0.75)
    has_plm = rng.random() < 0.15 + 0.003 * (age - 20)
    return Subject(
        age=age,
        sex=sex,
        bmi=bmi,
        apnea_index=float(np.clip(np.exp(log_ahi), 0.3, 70)),
        leg_index=float(rng.uniform(12, 45) if has_plm else rng.uniform(0, 5)),
        alpha_hz=float(np.clip(rng.normal(10.0 - 0.012 * (age - 50), 0.5), 8.6, 11.5)),
        alpha_gain=float(rng.lognormal(-0.05, 0.4)),
        spindle_hz=float(np.clip(rng.normal(13.4, 0.3), 12.6, 14.0)),
        eeg_gain=float(np.clip(rng.lognormal(0, 0.13), 0.75, 1.35)),
        delta_gain=float(np.clip(1.12 - 0.006 * (age - 25) + rng.normal(0, 0.06), 0.75, 1.25)),
        heart_bpm=float(np.clip(rng.normal(68, 7), 52, 90)),
        breaths_per_min=float(np.clip(rng.normal(14.5, 1.3), 11, 18)),
        spo2=float(np.clip(rng.normal(96.3 - 0.02 * (age - 50) - 0.04 * (bmi - 28), 0.6), 93, 98.5)),
        chin_gain=float(rng.lognormal(0, 0.2)),
    )

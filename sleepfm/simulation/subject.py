"""Who sleeps in a simulated study: the traits that colour a night, and the liabilities to disease that colour the traits.

Age, sex and weight explain a part of each liability; the larger part is the person's own and shows only in the night. What a
liability changes follows what is known of such patients, exaggerated until one short night can show it:

cardiac: faster heart with less arrhythmia of breathing, premature beats, flat T, periodic breathing, central apneas.
neurodegenerative: slow alpha and theta, few spindles, broken sleep, tone and twitches in REM, periodic leg movements.
respiratory: faster breaths with short inspiration, apneas with deep falls of a saturation that sags in REM, snoring.
inflammatory: alpha and beta within NREM sleep, little N3, restless and tense sleep in which the heart slows little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LIABILITIES = ("cardiac", "neuro", "respiratory", "inflammatory")
# What age (decades from 50), male sex (+1, female -1) and ln(BMI / 27.5) add to each, in standard deviations.
_FROM_AGE = np.array([0.25, 0.32, 0.12, 0.0])
_FROM_SEX = np.array([0.15, 0.0, 0.12, -0.25])
_FROM_BMI = np.array([0.9, 0.0, 2.2, 1.2])
_OWN = 0.87


@dataclass(frozen=True)
class Liabilities:
    """How prone a person is to four kinds of disease, about standard normal in the population."""

    cardiac: float = 0.0
    neuro: float = 0.0
    respiratory: float = 0.0
    inflammatory: float = 0.0


@dataclass(frozen=True)
class Subject:
    """A simulated person. Gains are relative to the average person.

    Attributes
    ----------
    age, sex, bmi
        Years, "female" or "male", kg/m².
    liabilities
        See `Liabilities`.
    apnea_index
        Respiratory events an hour of sleep that the night aims at (what the night really holds is counted from its events).
    central_share
        Of the apneas and hypopneas, how many are central apneas.
    dip_gain
        Depth of desaturations for an event of the same length.
    periodic_share
        Of light sleep, how much is spent in periodic (waxing and waning) breathing.
    breaths_per_min
        Breathing rate in N2.
    inspiration
        Share of a breath that is inspiration.
    snoring_share
        Of sleep, on the side and back taken together.
    spo2, rem_sag
        Resting saturation in %, and how many % lower it is in REM.
    leg_index
        Periodic leg movements an hour of sleep that the night aims at.
    restlessness
        Gain of the number of body movements asleep.
    fragmentation
        Gain of the number of awakenings and of arousals without a cause.
    n3_gain
        Gain of the minutes of N3.
    alpha_hz, alpha_gain
        Frequency of the waking rhythm and its amplitude.
    spindle_hz, spindles_per_min
        Frequency of the fast (centro-parietal) spindles, 12.5 to 14 Hz, and number of spindles in N2.
    eeg_gain
        Amplitude of the whole EEG (skull and electrodes).
    delta_gain
        Amplitude of slow waves relative to the average young adult; falls with age.
    theta_gain, beta_gain, alpha_in_sleep
        Power of theta and of beta in all stages, of alpha within NREM sleep.
    heart_bpm
        Waking heart rate.
    dipping
        Gain of the fall of the heart rate asleep.
    vagal_gain, slow_hrv_gain, arousal_hr_gain
        Arrhythmia of breathing, slower variability, and rise of the heart rate with arousals.
    premature_share
        Of all beats.
    t_wave, qrs_width, p_wave
        Gains of height, width and height.
    pulse_notch
        Gain of the second hump of the pulse wave, small in stiff arteries.
    chin_gain
        Chin muscle amplitude (tone and electrode distance).
    nrem_tone
        Gain of the chin's tone asleep relative to awake.
    rem_tone_share
        Share of REM sleep with muscle tone.
    twitch_gain
        Gain of the number of twitches in REM.
    """

    age: float
    sex: str
    bmi: float
    liabilities: Liabilities
    apnea_index: float
    central_share: float
    dip_gain: float
    periodic_share: float
    breaths_per_min: float
    inspiration: float
    snoring_share: float
    spo2: float
    rem_sag: float
    leg_index: float
    restlessness: float
    fragmentation: float
    n3_gain: float
    alpha_hz: float
    alpha_gain: float
    spindle_hz: float
    spindles_per_min: float
    eeg_gain: float
    delta_gain: float
    theta_gain: float
    beta_gain: float
    alpha_in_sleep: float
    heart_bpm: float
    dipping: float
    vagal_gain: float
    slow_hrv_gain: float
    arousal_hr_gain: float
    premature_share: float
    t_wave: float
    qrs_width: float
    p_wave: float
    pulse_notch: float
    chin_gain: float
    nrem_tone: float
    rem_tone_share: float
    twitch_gain: float


def draw_subject(rng: np.random.Generator, *, liabilities: Liabilities | None = None) -> Subject:
    """Draw an adult of a sleep clinic: apnea rises with age, weight and male sex, slow waves fall with age.

    Parameters
    ----------
    rng
        Source of chance.
    liabilities
        Instead of drawn ones.
    """
    age = float(np.round(np.clip(rng.normal(50, 14), 20, 85), 1))
    sex = "male" if rng.random() < 0.58 else "female"
    bmi = float(np.round(np.clip(rng.lognormal(np.log(27.5), 0.16), 18, 50), 1))
    decades, male = (age - 50) / 10, 1.0 if sex == "male" else -1.0
    own = rng.normal(0, _OWN, 4)
    drawn = _FROM_AGE * decades + _FROM_SEX * male + _FROM_BMI * np.log(bmi / 27.5) + own
    prone = liabilities or Liabilities(*(round(float(value), 4) for value in drawn))
    c, n, r, i = prone.cardiac, prone.neuro, prone.respiratory, prone.inflammatory

    def near(middle: float, spread: float, low: float, high: float) -> float:
        return float(np.clip(rng.normal(middle, spread), low, high))

    def gain(log: float, spread: float, low: float = 0.0, high: float = np.inf) -> float:
        return float(np.clip(np.exp(log + rng.normal(0, spread)), low, high))

    return Subject(
        age=age,
        sex=sex,
        bmi=bmi,
        liabilities=prone,
        apnea_index=gain(1.9 + 0.12 * decades + 0.045 * (bmi - 28) + 0.3 * male + 0.6 * r, 0.5, 0.3, 70),
        central_share=near(0.08 + 0.1 * c, 0.02, 0.02, 0.4),
        dip_gain=gain(0.25 * r, 0.1, 0.5, 2.0),
        periodic_share=near(0.04 + 0.16 * (c - 0.4), 0.02, 0.0, 0.55),
        breaths_per_min=near(14.6 + 1.4 * r + 0.4 * i, 0.6, 10.5, 21),
        inspiration=near(0.41 - 0.03 * r, 0.01, 0.3, 0.5),
        snoring_share=near(0.2 + 0.12 * r, 0.05, 0.0, 0.6),
        spo2=near(96.2 - 0.2 * decades - 0.4 * c - 0.7 * r, 0.4, 90, 98.5),
        rem_sag=near(0.6 + 1.1 * r, 0.3, 0.0, 5.0),
        leg_index=gain(1.3 + 0.95 * n + 0.1 * decades, 0.6, 0.0, 60),
        restlessness=gain(0.55 * i, 0.2, 0.2, 5),
        fragmentation=gain(0.25 * n + 0.3 * i + 0.04 * decades, 0.12, 0.4, 2.5),
        n3_gain=gain(-0.25 * i - 0.1 * n, 0.12, 0.3, 1.4),
        alpha_hz=near(10.1 - 0.65 * n - 0.1 * decades, 0.2, 7.4, 11.8),
        alpha_gain=gain(-0.05, 0.35, 0.3, 2.5),
        spindle_hz=near(13.4, 0.3, 12.6, 14.0),
        spindles_per_min=gain(np.log(5.0) - 0.45 * n - 0.05 * decades, 0.12, 0.6, 11),
        eeg_gain=gain(0.0, 0.13, 0.75, 1.35),
        delta_gain=near(0.97 - 0.06 * decades - 0.06 * i, 0.05, 0.7, 1.25),
        theta_gain=gain(0.35 * n, 0.1, 0.4, 3),
        beta_gain=gain(0.35 * i, 0.1, 0.4, 3),
        alpha_in_sleep=gain(0.75 * i, 0.2, 0.2, 7),
        heart_bpm=near(66.5 + 5 * c + 1.5 * r + 1.0 * i, 2.5, 47, 98),
        dipping=near(1 - 0.35 * i - 0.15 * c, 0.1, -0.3, 2.0),
        vagal_gain=gain(-0.1 - 0.55 * c - 0.1 * n - 0.22 * decades, 0.15, 0.1, 2.5),
        slow_hrv_gain=gain(-0.4 * c - 0.2 * n, 0.12, 0.25, 2.5),
        arousal_hr_gain=gain(-0.3 * n - 0.1 * c, 0.12, 0.3, 2.0),
        premature_share=gain(np.log(0.002) + 1.1 * c, 0.3, 0.0, 0.06),
        t_wave=gain(-0.3 * c, 0.1, 0.35, 1.8),
        qrs_width=gain(0.1 * c, 0.03, 0.8, 1.5),
        p_wave=gain(0.3 * r, 0.1, 0.5, 2.2),
        pulse_notch=gain(-0.3 * c - 0.12 * decades, 0.1, 0.2, 2.0),
        chin_gain=gain(0.0, 0.2, 0.4, 2.5),
        nrem_tone=gain(0.25 * i, 0.08, 0.5, 2.2),
        rem_tone_share=near(0.03 + 0.17 * (n - 0.2), 0.03, 0.0, 0.7),
        twitch_gain=gain(0.7 * n, 0.2, 0.3, 6),
    )

"""The words and numbers that every room of the house shares.

One name a thing (study, recording, channel, modality, window, token, epoch, scoring, event); the numbers are those of the
published SleepFM model and of the AASM manual (30-s epochs).
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

EPOCH_S = 30.0
"""Length of a scored epoch in seconds (AASM manual, rule for scoring in 30-s epochs)."""
TOKEN_S = 5.0
"""Length of one token (one patch of the encoder) in seconds."""
WINDOW_S = 300.0
"""Length of one window, the encoder's input, in seconds."""
MODEL_RATE_HZ = 128
"""Sampling rate of the model's signals in Hz."""
TOKEN_SAMPLES = int(TOKEN_S * MODEL_RATE_HZ)
WINDOW_SAMPLES = int(WINDOW_S * MODEL_RATE_HZ)
TOKENS_PER_EPOCH = int(EPOCH_S / TOKEN_S)


class Modality(StrEnum):
    """The four signal families of SleepFM, in the order the published heads expect them."""

    BAS = "BAS"
    RESP = "RESP"
    EKG = "EKG"
    EMG = "EMG"


class Stage(IntEnum):
    """Sleep stages with the numbers of the SleepFM scoring CSV. Unknown is masked everywhere, never turned into Wake."""

    UNKNOWN = -1
    WAKE = 0
    N1 = 1
    N2 = 2
    N3 = 3
    REM = 4


STAGE_NAMES: dict[Stage, str] = {
    Stage.UNKNOWN: "Unknown",
    Stage.WAKE: "Wake",
    Stage.N1: "Stage 1",
    Stage.N2: "Stage 2",
    Stage.N3: "Stage 3",
    Stage.REM: "REM",
}
"""The names written in files (SleepFM scoring CSV) and in `counts`."""

STAGE_SHORT: dict[Stage, str] = {
    Stage.UNKNOWN: "?",
    Stage.WAKE: "W",
    Stage.N1: "N1",
    Stage.N2: "N2",
    Stage.N3: "N3",
    Stage.REM: "R",
}
"""The AASM letters shown on screens."""

SCORED_STAGES: tuple[Stage, ...] = (Stage.WAKE, Stage.N1, Stage.N2, Stage.N3, Stage.REM)
"""The five stages in probability-column order (PWake, PN1, PN2, PN3, PREM)."""

PROBABILITY_COLUMNS: tuple[str, ...] = ("PWake", "PN1", "PN2", "PN3", "PREM")


class Kind(StrEnum):
    """What a channel measures. A model's metadata says which kinds make which modality."""

    EEG = "EEG"
    EOG = "EOG"
    CHIN_EMG = "chin EMG"
    LEG_EMG = "leg EMG"
    ARM_EMG = "arm EMG"
    OTHER_EMG = "EMG"
    ECG = "ECG"
    FLOW = "flow"
    NASAL_PRESSURE = "nasal pressure"
    THERMISTOR = "thermistor"
    EFFORT_THORAX = "thorax effort"
    EFFORT_ABDOMEN = "abdomen effort"
    EFFORT_SUM = "effort sum"
    SNORE = "snore"
    SPO2 = "SpO2"
    CO2 = "CO2"
    PULSE = "pulse"
    PLETH = "plethysmogram"
    POSITION = "position"
    ACTIVITY = "activity"
    LIGHT = "light"
    IMPEDANCE = "impedance"
    PAP = "PAP setting"
    MARKER = "marker"
    OTHER = "other"


class EventName(StrEnum):
    """Event names of the events CSV (contracts, section Files)."""

    OBSTRUCTIVE_APNEA = "Obstructive apnea"
    CENTRAL_APNEA = "Central apnea"
    MIXED_APNEA = "Mixed apnea"
    HYPOPNEA = "Hypopnea"
    RERA = "RERA"
    DESATURATION = "Desaturation"
    AROUSAL = "Arousal"
    LEG_MOVEMENT = "Leg movement"
    PLM = "PLM"
    SNORE = "Snore"
    LIGHTS_OFF = "Lights off"
    LIGHTS_ON = "Lights on"
    ARTIFACT = "Artifact"

"""A small invented night, to be reported in many ways."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any

import numpy as np

from sleepfm.analysis.sleep_statistics import night_statistics
from sleepfm.analysis.spectrogram import Spectrogram
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.report.report_data import ChannelQuality, ReportData, Spectrum, Standing, State, StudyFacts
from sleepfm.signals.vitals import Vitals
from sleepfm.vocabulary import EPOCH_S, Stage

MADE_AT = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
STAGES = np.repeat(
    np.array([Stage.WAKE, Stage.N1, Stage.N2, Stage.N3, Stage.N2, Stage.REM, Stage.WAKE], np.int8), (20, 10, 60, 50, 40, 40, 20)
)
EVENTS = (
    Event(300.0, 300.0, "Lights off"),
    Event(1500.0, 1520.0, "Obstructive apnea", "Flow", "made up"),
    Event(2500.0, 2530.0, "Hypopnea", "Flow", "made up"),
    Event(2520.0, 2550.0, "Desaturation", "SpO2", "made up", {"Desaturation": 4.0}),
    Event(3000.0, 3008.0, "Arousal", "C4-M1", "made up"),
    Event(400.0, 410.0, "Arousal", "C4-M1", "made up"),  # awake: marked, not counted
    Event(7100.0, 7100.0, "Lights on"),
)


def vitals(seconds: int, **changes: Any) -> Vitals:
    """Return oxygen that dips once below 90 %, a heart rate and two positions, one of them named."""
    spo2 = np.full(seconds, 96.0, np.float32)
    spo2[2540:2560] = 86.0
    position = np.where(np.arange(seconds) < seconds // 2, 1, 2).astype(np.int16)
    made = Vitals(spo2, np.full(seconds, 61.0, np.float32), position, {1: "Supine"}, np.empty(0), "SpO2", "ECG", "Pos", "ECG")
    return replace(made, **changes)


def report_data(
    *, stages: np.ndarray = STAGES, events: tuple[Event, ...] = EVENTS, has_vitals: bool = True, **changes: Any
) -> ReportData:
    """Return the data of a report, with what is named changed."""
    seconds = int(len(stages) * EPOCH_S)
    probabilities = np.full((len(stages), 5), 0.05, np.float32)
    probabilities[np.arange(len(stages)), np.clip(stages, 0, 4)] = 0.8
    probabilities[stages == Stage.UNKNOWN] = np.nan
    measured = vitals(seconds) if has_vitals else None
    rng = np.random.default_rng(7)
    spectrum = Spectrogram(np.arange(0.5, 30, 0.5), np.arange(len(stages)) * EPOCH_S, rng.normal(0, 8, (len(stages), 59)))
    made = ReportData(
        facts=StudyFacts("night-1", float(seconds), time(22, 30), age=61.0, sex="female"),
        scoring=Scoring(stages, probabilities),
        standing=Standing(
            State.OPEN,
            "YASA 0.8.1",
            by_program=True,
            scorer="ada",
            changed_epochs=43,
            looked_at=50,
            edits={"score": 57},
            changed_at=MADE_AT,
        ),
        statistics=night_statistics(stages, events=events, vitals=measured, probabilities=probabilities),
        made_at=MADE_AT,
        events=events,
        events_by="psgscoring 0.37.0",
        lights_off_s=300.0 if events else None,
        lights_on_s=7100.0 if events else None,
        gaps=((1800.0, 1860.0),),
        vitals=measured,
        spectrum=Spectrum(spectrum, "C4-M1", "µV"),
        quality=tuple(
            ChannelQuality(label, "EEG", rng.choice([0, 1, 8, 32], len(stages)).astype(np.uint8), "12 % flat", False)
            for label in ("C4-M1", "F4-M1")
        ),
        provenance=(("Stages: weights sha256", "ab" * 32), ("Recording sha256", "cd" * 32)),
    )
    return replace(made, **changes)

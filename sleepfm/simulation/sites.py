"""The sleep laboratories of a simulated cohort: each with its own montage, labels and sampling rate.

Site A records the whole montage. B and C record fewer channels under other names and at other rates, as laboratories do. D uses
small recorders: of its three, one has no muscle channel and one has no ECG, so some studies lack a whole modality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Montage:
    """What a recorder writes.

    Attributes
    ----------
    rate_hz
        Rate of EEG, EOG, EMG and ECG; a multiple of 50 or 256 (mains hum is drawn in whole periods).
    labels
        The channels in file order: the full montage's label to the label that this recorder writes.
    """

    rate_hz: int
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Site:
    """A laboratory, what share of a cohort's people it sees, and its recorders, each used as often as the others."""

    name: str
    share: float
    montages: tuple[Montage, ...]


_EEG = ("F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1")
_BREATH = ("Nasal Pressure", "Thermistor", "Thorax", "Abdomen", "Snore", "SpO2", "Pulse", "Pleth")
FULL = Montage(
    256, {label: label for label in (*_EEG, "E1-M2", "E2-M2", "EMG Chin", "EMG LAT", "EMG RAT", "ECG", *_BREATH, "Position")}
)
_B = Montage(
    200,
    {
        "C3-M2": "EEG C3-A2",
        "C4-M1": "EEG C4-A1",
        "O1-M2": "EEG O1-A2",
        "E1-M2": "LOC",
        "E2-M2": "ROC",
        "EMG Chin": "CHIN",
        "EMG LAT": "L Leg",
        "EMG RAT": "R Leg",
        "ECG": "EKG",
        "Nasal Pressure": "PTAF",
        "Thermistor": "Airflow",
        "Thorax": "CHEST",
        "Abdomen": "ABD",
        "SpO2": "SaO2",
        "Pulse": "HR",
    },
)
_C = Montage(
    250,
    {
        "F4-M1": "F4:A1",
        "C4-M1": "C4:A1",
        "O2-M1": "O2:A1",
        "E1-M2": "EOG Left",
        "E2-M2": "EOG Right",
        "EMG Chin": "Chin1-Chin2",
        "ECG": "ECG II",
        "Nasal Pressure": "Flow",
        "Thorax": "RIP Thorax",
        "Abdomen": "RIP Abdomen",
        "Snore": "Mic",
        "SpO2": "SPO2",
        "Pleth": "PPG",
    },
)
_SMALL_HEAD = {"C4-M1": "C4-M1", "E1-M2": "E1", "E2-M2": "E2"}
_SMALL_BREATH = {"Nasal Pressure": "NasalP", "Thorax": "THO", "Abdomen": "ABDO", "SpO2": "SpO2", "Pulse": "Pulse"}
_D = tuple(
    Montage(200, {**_SMALL_HEAD, **extra, **_SMALL_BREATH})
    for extra in ({"EMG Chin": "EMG", "ECG": "ECG"}, {"ECG": "ECG"}, {"EMG Chin": "EMG"})
)
SITES = (Site("A", 0.3, (FULL,)), Site("B", 0.3, (_B,)), Site("C", 0.25, (_C,)), Site("D", 0.15, _D))


def draw_site(rng: np.random.Generator, sites: int) -> tuple[Site, Montage]:
    """Draw one of the first `sites` sites by its share, and one of its recorders; with one site always the full montage."""
    shares = np.array([site.share for site in SITES[:sites]])
    site = SITES[int(rng.choice(sites, p=shares / shares.sum()))]
    return site, site.montages[int(rng.integers(len(site.montages)))]

"""Derivations of unreferenced leads, montages, and corrections that follow a montage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edf_bytes import File, Signal, smooth

from sleepfm.recording.channels import place
from sleepfm.recording.derivations import apply_corrections, montage_signature, montages, offered, read_derivation
from sleepfm.recording.opening import open_recording
from sleepfm.recording.recording import Channel
from sleepfm.vocabulary import Kind, Modality


def channels(labels: str, rates: dict[str, float] | None = None, units: dict[str, str] | None = None) -> tuple[Channel, ...]:
    made = []
    for index, label in enumerate(labels.split(", ")):
        found = place(label)
        unit = (units or {}).get(label, "µV")
        rate = (rates or {}).get(label, 256.0)
        made.append(Channel(index, label, rate, unit, unit, found.kind, found.modality, found.reason, 0.1, 0.0, -32768, 32767))
    return tuple(made)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("F3, F4, C3, C4, O1, O2, M1, M2, E1, E2", "F3-M2, F4-M1, C3-M2, C4-M1, O1-M2, O2-M1, E1-M2, E2-M2"),
        ("C3, C4, A1, A2, LOC, ROC", "C3-A2, C4-A1, E1-A2, E2-A2"),
        ("EEG C3-Ref, EEG C4-Ref, EEG A1-Ref, EEG A2-Ref", "C3-A2, C4-A1"),
        ("Cz, M1, M2", "Cz-M1M2"),
        ("C4, M2", "C4-M2"),
        ("E1, E2, M1", "E1-M1, E2-M1"),
        ("C3-M2, C4-M1, M1, M2", ""),
        ("C3, C3-M2, C4, M1, M2", "C4-M1"),
        ("C3, C4", ""),
        ("EEG C3-CLE, M1, M2", ""),
        ("Chin1, Chin2", "Chin1-Chin2"),
        ("Chin1, Chin2, Chin3", "Chin1-Chin2, Chin1-Chin3, Chin2-Chin3"),
        ("Chin1-Chin2, Chin3", ""),
        ("L Chin, R Chin", "L Chin-R Chin"),
        ("ECG1, ECG2", "ECG1-ECG2"),
        ("LLEG1, LLEG2, RLEG1, RLEG2", "LLEG1-LLEG2, RLEG1-RLEG2"),
        ("Leg L, Leg R", ""),
        ("Chin EMG, Flow, SpO2", ""),
    ],
)
def test_what_is_offered(labels: str, expected: str) -> None:
    assert ", ".join(derivation.label for derivation in offered(channels(labels))) == expected


def test_only_leads_of_one_rate_and_unit_are_combined() -> None:
    assert offered(channels("C3, M2", rates={"M2": 128.0})) == ()
    assert offered(channels("C3, M2", units={"M2": "mV"})) == ()
    both = offered(channels("C4, M1, A1", rates={"M1": 128.0}))
    assert [(one.label, one.plus, one.minus) for one in both] == [("C4-A1", 0, (2,))]


def test_a_derivation_is_the_difference(tmp_path: Path) -> None:
    path = tmp_path / "leads.edf"
    path.write_bytes(File([Signal(label, smooth(4, 64, seed)) for seed, label in enumerate(("C4", "Cz", "M1", "M2"))]).bytes())
    with open_recording(path) as recording:
        by_label = {one.label: one for one in offered(recording.channels)}
        assert (by_label["C4-M1"].kind, by_label["C4-M1"].modality) == (Kind.EEG, Modality.BAS)
        c4, cz, m1, m2 = recording.read_many(range(4), 0.5, 5.0)
        np.testing.assert_allclose(read_derivation(recording, by_label["C4-M1"], 0.5, 5.0), c4 - m1, atol=1e-4)
        np.testing.assert_allclose(read_derivation(recording, by_label["Cz-M1M2"], 0.5, 5.0), cz - (m1 + m2) / 2, atol=1e-4)


def test_montages_are_ordered_as_a_technician_expects(tmp_path: Path) -> None:
    labels = "SpO2, O2, Abdomen, M2, Flow, C3, E2, ECG, Chin1-Chin2, O1, Thorax, C4, E1, M1, RLeg, Snore, LLeg, F4, F3, Position"
    path = tmp_path / "night.edf"
    path.write_bytes(File([Signal(label, smooth(1, 32)) for label in labels.split(", ")]).bytes())
    with open_recording(path) as recording:
        found = {montage.name: [trace.label for trace in montage.traces] for montage in montages(recording)}
    assert next(iter(found)) == "Polysomnography"
    assert ", ".join(found["Sleep staging"]) == "F3-M2, F4-M1, C3-M2, C4-M1, O1-M2, O2-M1, E1-M2, E2-M2, Chin1-Chin2"
    assert found["Respiratory"] == ["Snore", "Flow", "Thorax", "Abdomen", "SpO2", "Position"]
    assert found["Legs"] == ["LLeg", "RLeg"]
    assert found["Cardiac"] == ["ECG", "SpO2"]
    assert found["As recorded"] == labels.split(", ")
    assert found["Polysomnography"] == [*found["Sleep staging"], "ECG", "LLeg", "RLeg", *found["Respiratory"]]
    assert set(labels.split(", ")) <= set(found["All"])


def test_montages_of_a_real_clinical_file(shared: Path) -> None:
    with open_recording(shared / "data" / "psg/nox_a1_2min_90ch.edf") as recording:
        found = {montage.name: [trace.label for trace in montage.traces] for montage in montages(recording)}
    staging = "F3-M2, F4-M1, C3-M2, C4-M1, O1-M2, O2-M1, E1-M2, E2-M1, 1-2, 1-F, 2-F"
    assert ", ".join(found["Sleep staging"]) == staging
    assert len(found["As recorded"]) == 89
    rest = "ECG, Left Leg, Right Leg, Snoring, Nasal Pressure, Airflow, Chest, Abdomen, Saturation, Heart Rate, Elevation"
    assert ", ".join(found["Polysomnography"]) == f"{staging.removesuffix(', 1-F, 2-F')}, {rest}"


def test_a_file_of_unknown_signals_still_has_montages(tmp_path: Path) -> None:
    path = tmp_path / "unknown.edf"
    path.write_bytes(File([Signal("Foo", smooth(1, 32)), Signal("", smooth(1, 32))]).bytes())
    with open_recording(path) as recording:
        assert [montage.name for montage in montages(recording)] == ["As recorded", "All"]


def test_montage_signature_follows_labels_and_rates_only() -> None:
    same = montage_signature(channels("C3, C4, SpO2"))
    assert same == montage_signature(channels("C3, C4, SpO2", units={"SpO2": "%"}))
    others = (
        channels("C3, C4, SpO2", rates={"C4": 128.0}),
        channels("C4, C3, SpO2"),
        channels("C3, C4"),
        channels("C3, C4, SpO2, X"),
    )
    assert same not in {montage_signature(other) for other in others}


def test_corrections_change_kind_modality_and_unit(tmp_path: Path) -> None:
    path = tmp_path / "night.edf"
    signal = Signal("X1", smooth(2, 32), unit="V", physical=(-0.001, 0.001), digital=(-1000, 1000))
    path.write_bytes(File([signal, Signal("C3", smooth(2, 32))]).bytes())
    with open_recording(path) as recording:
        assert (recording.channel(0).kind, recording.channel(0).unit) == (Kind.OTHER, "V")
        corrected = apply_corrections(recording, {0: Kind.CHIN_EMG, 1: None})
        chin, unused = corrected.channels
        assert (chin.kind, chin.modality, chin.unit, chin.reason) == (Kind.CHIN_EMG, Modality.EMG, "µV", "corrected by user")
        assert (unused.kind, unused.modality) == (Kind.OTHER, None)
        values = corrected.read(0, 0, 2)
        np.testing.assert_allclose(values, recording.read(0, 0, 2) * 1e6, rtol=1e-5)
        np.testing.assert_allclose(values, corrected.digital(0, 0) * chin.gain + chin.offset, rtol=1e-5)
        np.testing.assert_array_equal(corrected.read_many([0, 1], 0, 2)[0], values)
        assert corrected.duration_s == recording.duration_s
        assert apply_corrections(recording, {7: Kind.ECG}).channels == recording.channels
        corrected.close()

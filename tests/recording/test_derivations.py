"""Derivations and montages, as a technician expects them."""

from __future__ import annotations

from pathlib import Path

import edfio
import numpy as np
import pytest

from sleepfm.recording.derivations import (
    apply_corrections,
    montage_signature,
    montages,
    offered,
    read_derivation,
)
from sleepfm.recording.edf import EdfRecording, open_recording
from sleepfm.vocabulary import Kind, Modality
from tests.make_edf import write_edf


def recording(tmp_path: Path, *labels: str, name: str = "night.edf") -> EdfRecording:
    return open_recording(write_edf(tmp_path / name, seconds=30, labels=labels))


def test_unreferenced_leads_are_offered_against_the_other_mastoid(tmp_path: Path) -> None:
    with recording(tmp_path, "F3", "C3", "C4", "O2", "E1", "E2", "M1", "M2", "Chin 1", "Chin 2") as night:
        assert [one.label for one in offered(night.channels)] == [
            "F3-M2", "C3-M2", "C4-M1", "O2-M1", "E1-M2", "E2-M2", "Chin 1-Chin 2",
        ]  # fmt: skip


def test_older_names_of_the_mastoids_and_prefixes_are_understood(tmp_path: Path) -> None:
    with recording(tmp_path, "EEG C3-Ref", "EEG C4-Ref", "EEG A1-Ref", "EEG A2-Ref") as night:
        assert [one.label for one in offered(night.channels)] == ["C3-A2", "C4-A1"]


def test_nothing_is_offered_beside_what_is_recorded_already_or_without_a_reference(tmp_path: Path) -> None:
    with recording(tmp_path, "C4-M1", "C4", "M1") as night:
        assert offered(night.channels) == ()
    with recording(tmp_path, "C3", "C4", name="b.edf") as night:
        assert offered(night.channels) == ()


def test_leads_of_different_rates_are_not_subtracted(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 20, 30 * 256)
    signals = [
        edfio.EdfSignal(noise, 256, label="C4", physical_dimension="uV", physical_range=(-500, 500)),
        edfio.EdfSignal(noise[::2], 128, label="M1", physical_dimension="uV", physical_range=(-500, 500)),
    ]
    edfio.Edf(signals).write(tmp_path / "x.edf")
    with open_recording(tmp_path / "x.edf") as night:
        assert offered(night.channels) == ()


def test_a_derivation_is_the_difference_of_its_channels(tmp_path: Path) -> None:
    with recording(tmp_path, "C4", "M1") as night:
        (derivation,) = offered(night.channels)
        expected = night.read(0, 3, 9) - night.read(1, 3, 9)
        np.testing.assert_allclose(read_derivation(night, derivation, 3, 9), expected, atol=1e-4)
        assert np.isnan(read_derivation(night, derivation, 29, 31)[-1])


def test_the_first_montage_holds_what_a_night_is_scored_from_in_the_usual_order(tmp_path: Path) -> None:
    labels = ("SpO2", "Position", "ECG", "E2-M1", "E1-M2", "O2-M1", "C4-M1", "F4-M1", "Chin", "Airflow", "Thorax", "Abdomen")
    with recording(tmp_path, *labels) as night:
        first = montages(night)[0]
        assert first.name == "Sleep"
        assert [trace.label for trace in first.traces] == [
            "F4-M1", "C4-M1", "O2-M1", "E2-M1", "E1-M2", "Chin", "ECG", "Airflow", "Thorax", "Abdomen", "SpO2", "Position",
        ]  # fmt: skip


def test_every_channel_is_in_some_montage_even_on_a_real_device_of_90(shared: Path) -> None:
    with open_recording(shared / "data/psg/nox_a1_2min_90ch.edf") as night:
        made = {montage.name: montage for montage in montages(night)}
        assert {trace.plus for trace in made["All channels"].traces} == {channel.index for channel in night.channels}
        sleep = [trace.label for trace in made["Sleep"].traces]
        assert sleep[:8] == ["F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1", "E1-M2", "E2-M1"]
        assert {"Chest", "Abdomen", "ECG", "Saturation", "Right Leg", "Left Leg"} <= set(sleep)
        assert offered(night.channels) == ()


def test_a_recording_of_one_unknown_channel_still_has_a_montage(tmp_path: Path) -> None:
    with recording(tmp_path, "Xyzzy") as night:
        assert [trace.label for trace in montages(night)[0].traces] == ["Xyzzy"]


def test_the_signature_is_of_the_montage_not_of_the_night(tmp_path: Path) -> None:
    a = recording(tmp_path, "C4-M1", "ECG", name="a.edf")
    b = open_recording(write_edf(tmp_path / "b.edf", seconds=60, labels=("C4-M1", "ECG"), seed=5))
    c = recording(tmp_path, "ECG", "C4-M1", name="c.edf")
    assert montage_signature(a.channels) == montage_signature(b.channels) != montage_signature(c.channels)
    before = montage_signature(a.channels)
    assert montage_signature(apply_corrections(a, {0: Kind.ECG}).channels) == before
    for night in (a, b, c):
        night.close()


@pytest.mark.parametrize(("kind", "modality"), [(Kind.ECG, Modality.EKG), (Kind.POSITION, None), (Kind.EOG, Modality.BAS)])
def test_a_correction_changes_kind_modality_and_reason(tmp_path: Path, kind: Kind, modality: Modality | None) -> None:
    with recording(tmp_path, "Aux 7", "C4-M1") as night:
        corrected = apply_corrections(night, {0: kind, 99: Kind.EEG})
        assert (corrected.channel(0).kind, corrected.channel(0).modality) == (kind, modality)
        assert "corrected" in corrected.channel(0).reason
        assert corrected.channel(1).kind is Kind.EEG

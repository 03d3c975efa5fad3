"""Labels of sleep labs, vendors and languages are placed in the right kind and modality."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labels_by_vendor import held_out, labelled

from sleepfm.recording.channels import MODALITY_OF_KIND, Placement, place, place_together
from sleepfm.recording.opening import open_recording
from sleepfm.vocabulary import Kind, Modality

LABELS = sorted({label for _, _, label in labelled()} | {label for _, label in held_out()})
UNUSED = {Kind.POSITION, Kind.ACTIVITY, Kind.LIGHT, Kind.IMPEDANCE, Kind.PAP, Kind.MARKER, Kind.OTHER}


def test_published_names_are_all_placed(shared: Path) -> None:
    names = json.loads((shared / "reference" / "channel_names.json").read_text(encoding="utf-8"))
    wrong = [
        (label, modality, place(label))
        for modality, labels in names.items()
        for label in labels
        if place(label).modality != modality
    ]
    assert wrong == []


@pytest.mark.parametrize("source", sorted({source for source, _, _ in labelled()}))
def test_kinds_by_vendor_cohort_and_language(source: str) -> None:
    wrong = [(label, kind, place(label)) for where, kind, label in labelled() if where == source and place(label).kind != kind]
    assert wrong == []


def test_held_out_labels_have_their_modality() -> None:
    rows = held_out()
    assert len(rows) >= 800
    wrong = [(label, modality, place(label)) for modality, label in rows if str(place(label).modality) != modality]
    assert len(wrong) <= 0.01 * len(rows), wrong


def test_modality_follows_kind_and_unused_kinds_have_none() -> None:
    assert set(MODALITY_OF_KIND) | UNUSED == set(Kind)
    assert not set(MODALITY_OF_KIND) & UNUSED
    for label in LABELS:
        found = place(label)
        assert found.modality == MODALITY_OF_KIND.get(found.kind)
        assert len(found.reason.split()) >= 2


@pytest.mark.parametrize("separator", [" ", "_", ":", "-", "/", ".", "  "])
def test_separators_do_not_matter(separator: str) -> None:
    wrong = [
        label for label in LABELS if "Ã" not in label and place(re.sub(r"[\W_]+", separator, label)).kind != place(label).kind
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "change", [str.upper, str.swapcase, lambda text: f"  {text}\t", lambda text: f"{text}-Ref", lambda text: f"POL {text}"]
)
def test_case_padding_and_vendor_additions_do_not_matter(change) -> None:
    wrong = [label for label in LABELS if "Ã" not in label and place(change(label)).modality != place(label).modality]
    assert wrong == []


@given(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from(LABELS).map(lambda label: label * 3),
        st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")),
    )
)
@settings(max_examples=300, deadline=None)
def test_any_text_gets_an_answer_with_a_reason(label: str) -> None:
    found = place(label, unit=label[:5], rate_hz=None, transducer=label)
    assert isinstance(found, Placement)
    assert found.reason
    assert found.modality is None or found.modality in set(Modality)


@given(st.sampled_from(LABELS), st.text(alphabet=" \t-_:./", max_size=3), st.text(alphabet=" \t-_:./", max_size=3))
@settings(max_examples=300, deadline=None)
def test_separators_around_a_label_do_not_matter(label: str, before: str, after: str) -> None:
    assert place(before + label + after).kind == place(label).kind


@pytest.mark.parametrize(
    ("label", "hints", "kind"),
    [
        ("O2", {}, Kind.EEG),
        ("O2", {"unit": "%"}, Kind.SPO2),
        ("O2", {"unit": "uV", "rate_hz": 256.0}, Kind.EEG),
        ("C3", {"unit": "kOhm"}, Kind.IMPEDANCE),
        ("Pulse", {"rate_hz": 1.0}, Kind.PULSE),
        ("Pulse", {"rate_hz": 75.0}, Kind.PLETH),
        ("Pulse", {"rate_hz": 75.0, "unit": "bpm"}, Kind.PULSE),
        ("Resp oro-nasal", {}, Kind.FLOW),
        ("Resp oro-nasal", {"transducer": "Oral-nasal thermistors"}, Kind.THERMISTOR),
        ("Resp 1", {"transducer": "RIP belt"}, Kind.EFFORT_SUM),
        ("1-2", {}, Kind.OTHER),
        ("1-2", {"unit": "V", "rate_hz": 200.0}, Kind.CHIN_EMG),
    ],
)
def test_unit_rate_and_transducer_break_ties(label: str, hints: dict, kind: Kind) -> None:
    assert place(label, **hints).kind == kind


@pytest.mark.parametrize("label", ["Map 1", "Comp3", "Shelf1", "Hrabe", "xyzhr", "Legacy", "Tailor", "Armada"])
def test_words_that_only_contain_sensor_names_are_not_sensors(label: str) -> None:
    assert place(label).modality is None


def test_bare_inputs_belong_to_the_chin_only_beside_chin_derivations() -> None:
    labels = ["1", "2", "F", "3", "1-F"]
    kinds = [one.kind for one in place_together(labels, [place(label) for label in labels])]
    assert kinds == [Kind.CHIN_EMG, Kind.CHIN_EMG, Kind.CHIN_EMG, Kind.OTHER, Kind.CHIN_EMG]
    assert place_together(["1", "2"], [place("1"), place("2")]) == [place("1"), place("2")]


def test_every_channel_of_a_real_clinical_montage_is_sensible(shared: Path) -> None:
    with open_recording(shared / "data" / "psg/nox_a1_2min_90ch.edf") as recording:
        kinds = {channel.label: channel.kind for channel in recording.channels}
        modalities = {channel.label: channel.modality for channel in recording.channels}
    assert sum("Imp" in label for label in kinds) == 26
    assert all(kind == Kind.IMPEDANCE for label, kind in kinds.items() if "Imp" in label)
    expected = {
        Modality.BAS: "C3 C3-M2 C4 C4-M1 E1 E1-M2 E2 E2-M1 F3 F3-M2 F4 F4-M1 M1 M1M2 M2 O1 O1-M2 O2 O2-M1",
        Modality.EKG: "ECG",
        Modality.EMG: "1|1-2|1-F|2|2-F|F|Right Leg|Left Leg",
        Modality.RESP: "Abdomen CaL|Abdomen|Airflow|RIP Flow Cal|RIP Flow|Heart Rate|Inductance Abdom|Inductance Thora"
        "|Pulse Waveform|Pulse|Nasal Pressure|Snoring|RIP Sum Cal|RIP Sum|Saturation|SpO2 B-B|Chest",
    }
    for modality, labels in expected.items():
        listed = set(labels.split("|") if "|" in labels else labels.split())
        assert {label for label, found in modalities.items() if found == modality} == listed
    assert kinds["PosAngle"] == Kind.POSITION
    assert kinds["Light"] == Kind.LIGHT
    assert kinds["X Axis"] == Kind.ACTIVITY

"""The address of the page of neighbours: what it says is followed, what it does not say is filled in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepfm.viewer.similar_query import read_address
from sleepfm.vocabulary import Modality

ALL = tuple(Modality)


def test_an_address_is_followed_to_its_window() -> None:
    asked = read_address({"at": "700", "query": "EKG", "target": "EMG"}, duration_s=3600, modalities=ALL)
    assert (asked.at, asked.modality, asked.target, asked.problems) == (600.0, Modality.EKG, Modality.EMG, ())


@pytest.mark.parametrize(
    ("there", "modality", "target"),
    [
        (ALL, Modality.RESP, Modality.BAS),
        ((Modality.BAS,), Modality.BAS, Modality.RESP),
        ((Modality.EKG, Modality.EMG), Modality.EKG, Modality.BAS),
        ((), Modality.RESP, Modality.BAS),
    ],
)
def test_without_an_address_breathing_asks_for_the_brain(
    there: tuple[Modality, ...], modality: Modality, target: Modality
) -> None:
    asked = read_address({}, duration_s=3600, modalities=there)
    assert (asked.at, asked.modality, asked.target, asked.problems) == (0.0, modality, target, ())


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ({"at": "soon"}, "'soon' is no time"),
        ({"at": "3600"}, "The recording ends after 1:00:00"),
        ({"query": "EEG"}, "'EEG' is no modality: BAS, RESP, EKG, EMG are."),
        ({"target": "\x1b[2J"}, "'\\x1b[2J' is no modality"),
    ],
)
def test_what_cannot_be_followed_is_said_and_filled_in(address: dict[str, str], problem: str) -> None:
    asked = read_address(address, duration_s=3600, modalities=ALL)
    (said,) = asked.problems
    assert said.startswith(problem)
    assert (asked.modality, asked.target) == (Modality.RESP, Modality.BAS)


@given(st.dictionaries(st.sampled_from(["at", "query", "target"]), st.text(max_size=12)), st.floats(1, 1e6))
def test_any_address_leads_into_the_night(address: dict[str, str], duration_s: float) -> None:
    asked = read_address(address, duration_s=duration_s, modalities=ALL)
    assert 0 <= asked.at < duration_s
    assert asked.at % 300 == 0

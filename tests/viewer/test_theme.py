"""The stage colours must stay apart for every eye: protan, deutan, tritan, and in grey."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from sleepfm.viewer.theme import (
    EVENT_COLOURS,
    HYPNOGRAM_ORDER,
    OTHER_TRACE_COLOUR,
    STAGE_COLOURS,
    TRACE_COLOURS,
    for_browser,
)
from sleepfm.vocabulary import SCORED_STAGES, EventName, Stage

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB
VISION = {
    "normal": np.eye(3),
    "protan": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deutan": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritan": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}


def linear(colour: str) -> np.ndarray:
    value = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast_on_white(colour: str) -> float:
    return 1.05 / (float(linear(colour) @ [0.2126, 0.7152, 0.0722]) + 0.05)


@pytest.mark.parametrize("vision", VISION)
def test_stages_stay_apart_for_every_eye(vision: str) -> None:
    colours = {stage: lab(VISION[vision] @ linear(STAGE_COLOURS[stage])) for stage in SCORED_STAGES}
    distances = {(a.name, b.name): np.linalg.norm(colours[a] - colours[b]) for a, b in combinations(SCORED_STAGES, 2)}
    assert min(distances.values()) > 20, distances


def test_sleep_gets_darker_as_it_gets_deeper() -> None:
    lightness = [lab(linear(STAGE_COLOURS[stage]))[0] for stage in (Stage.N1, Stage.N2, Stage.N3)]
    assert lightness[0] - lightness[1] > 15
    assert lightness[1] - lightness[2] > 15


def test_lines_and_names_can_be_read_on_white() -> None:
    for colour in {*TRACE_COLOURS.values(), OTHER_TRACE_COLOUR}:
        assert contrast_on_white(colour) >= 4.5, colour
    for colour in EVENT_COLOURS.values():
        assert contrast_on_white(colour) >= 2.5, colour


def test_the_browser_gets_every_colour_once_defined_here() -> None:
    sent = for_browser()
    assert [stage["short"] for stage in sent["stages"]] == ["W", "R", "N1", "N2", "N3"]
    assert {stage["colour"] for stage in sent["stages"]} == {STAGE_COLOURS[stage] for stage in HYPNOGRAM_ORDER}
    assert set(sent["events"]) == {name.value for name in EventName}

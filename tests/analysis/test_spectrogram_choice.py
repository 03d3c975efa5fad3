"""The spectrogram that is shown first: the one staging looked at, else the one a technician would choose."""

from __future__ import annotations

import pytest

from sleepfm.analysis.spectrogram_choice import first_spectrogram

ALL = ["F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1"]


@pytest.mark.parametrize(
    ("labels", "signals", "expected"),
    [
        (ALL, [], "C4-M1"),
        (ALL, [("F4-M1", "E1-M2")], "F4-M1"),
        (ALL, [("O1-M2", "C3-M2", "EMG")], "C3-M2"),
        (ALL, [(), ("O2-M1",)], "O2-M1"),
        (ALL, [("Cz", "gone")], "C4-M1"),
        (["Fpz-Cz", "Pz-Oz"], [], "Fpz-Cz"),
        (["EEG F3-A2", "EEG C3-A2"], [], "EEG C3-A2"),
        (["C4", "C4-M1"], [], "C4-M1"),
        (["X", "Y"], [], "X"),
        ([], [("C4-M1",)], None),
    ],
)
def test_the_first_spectrogram(labels: list[str], signals: list[tuple[str, ...]], expected: str | None) -> None:
    assert first_spectrogram(labels, signals) == expected

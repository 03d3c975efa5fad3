"""Windows of hours: from the envelopes what they hold, the rest from the recording, in the order that was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from make_edf import write_edf

from sleepfm.recording.opening import open_recording
from sleepfm.signals.display_filters import DisplayFilter
from sleepfm.signals.envelopes import displayed_traces, write_envelopes
from sleepfm.signals.trace_windows import Trace, TraceWindow
from sleepfm.viewer.window_answer import WindowAnswer
from sleepfm.viewer.window_packing import unpack

EEG = DisplayFilter(0.3, 35.0)
NOTCHED = DisplayFilter(0.3, 35.0, 50.0)


def answered(answer: WindowAnswer) -> list[TraceWindow]:
    for piece in answer.pieces:
        answer.read(piece)
    return unpack(answer.packed())


@pytest.fixture
def night(tmp_path: Path) -> Path:
    return write_edf(tmp_path / "night.edf", seconds=1800, labels=("C4-M1", "E1-M2", "ECG"))


@pytest.mark.parametrize("stop_s", [601.0, 1800.0, 2400.0])
def test_both_ways_show_the_same_night(night: Path, tmp_path: Path, stop_s: float) -> None:
    traces = [Trace(1, (), EEG), Trace(0, (), NOTCHED), Trace(2)]
    with open_recording(night) as recording:
        write_envelopes(tmp_path / "e", recording, displayed_traces(recording))
        stored = WindowAnswer(recording, tmp_path / "e", traces, start_s=0.0, stop_s=stop_s, bins=60)
        read = WindowAnswer(recording, None, traces, start_s=0.0, stop_s=stop_s, bins=60)
        assert stored.pieces == read.pieces  # the notched trace is not among the envelopes
        for mine, theirs in zip(answered(stored), answered(read), strict=True):
            assert np.nanmax(mine.values) == pytest.approx(np.nanmax(theirs.values), rel=0.02)
            assert np.nanmin(mine.values) == pytest.approx(np.nanmin(theirs.values), rel=0.02)
            assert np.nanstd(mine.values) == pytest.approx(np.nanstd(theirs.values), rel=0.1)
            ends = [window.x0_s + window.dx_s * np.flatnonzero(np.isfinite(window.values))[-1] for window in (mine, theirs)]
            assert ends[0] == pytest.approx(ends[1], abs=stop_s / 60)
        only = WindowAnswer(recording, tmp_path / "e", [traces[0], traces[2]], start_s=0.0, stop_s=stop_s, bins=60)
        assert only.pieces == []
        assert len(answered(only)) == 2


def test_short_windows_and_unprepared_studies_are_read(night: Path, tmp_path: Path) -> None:
    with open_recording(night) as recording:
        write_envelopes(tmp_path / "e", recording, displayed_traces(recording))
        short = WindowAnswer(recording, tmp_path / "e", [Trace(0, (), EEG)], start_s=0.0, stop_s=600.0, bins=60)
        assert len(short.pieces) == 2
        unprepared = WindowAnswer(recording, tmp_path / "none", [Trace(0, (), EEG)], start_s=0.0, stop_s=1800.0, bins=60)
        assert len(unprepared.pieces) == 6

"""The benchmark night, read by edfio."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import edfio
import pytest

from sleepfm.simulation.benchmark import BENCHMARK_CHANNELS, make_benchmark_night


def test_the_benchmark_night_is_the_issues_night(tmp_path: Path) -> None:
    """16 channels at 256, 64 and 4 Hz; an hour of it is an eighth of about 191 MiB."""
    path = make_benchmark_night(tmp_path / "bench.edf", hours=1)
    assert path.stat().st_size * 8 / 2**20 == pytest.approx(191, rel=0.01)
    edf = edfio.read_edf(path)
    assert edf.duration == 3600
    assert Counter(s.sampling_frequency for s in edf.signals) == {256: 13, 64: 2, 4: 1}
    assert "SIMULATED" in edf.local_patient_identification
    for signal, channel in zip(edf.signals, BENCHMARK_CHANNELS, strict=True):
        assert signal.label == channel.label
        slow = channel.unit == "%"  # an hour holds few of its swings
        assert signal.data.std() == pytest.approx(channel.deviation, rel=0.5 if slow else 0.1)
    assert edf.get_signal("SpO2").data.mean() == pytest.approx(94, abs=1)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    one, again, other = (
        make_benchmark_night(tmp_path / name, hours=0.6, seed=seed).read_bytes() for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert one == again != other

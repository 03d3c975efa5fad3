"""The benchmark times as many steps and batches as it says, and its figures follow from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sleepfm.errors import RequestError
from sleepfm.training.settings import EncoderSettings
from sleepfm.training.throughput_benchmark import (
    MONTAGES,
    STEPS_A_TURN,
    Loop,
    ThroughputBenchmark,
    benchmark_throughput,
    write_recordings,
)
from sleepfm.training.windows import open_store
from sleepfm.vocabulary import WINDOW_SAMPLES, Modality

SMALL = {"embed_dim": 8, "num_heads": 2, "num_layers": 1, "pooling_head": 2, "patch_size": 640, "dropout": 0.3}


def test_both_loops_take_turns_and_are_timed(tmp_path: Path) -> None:
    signals = write_recordings(tmp_path, recordings=2, minutes=15)
    found = benchmark_throughput(signals, windows=2, repeats=1, parameters=SMALL)
    for loop in (found.plain, found.ours, found.ours_bf16):
        assert len(loop.step_s) == len(loop.waited_s) == STEPS_A_TURN
        assert all(0 < waited < step for waited, step in zip(loop.waited_s, loop.step_s, strict=True))
        assert 0 < loop.waiting < 1
    assert len(found.plain.batch_s) == len(found.ours.batch_s) == 1
    with pytest.raises(RequestError, match="6 windows are too few for 3 batches of 3"):
        benchmark_throughput(signals, windows=3, repeats=1, parameters=SMALL)


def test_its_recordings_have_the_montages(tmp_path: Path) -> None:
    folder = write_recordings(tmp_path, recordings=len(MONTAGES), minutes=5)
    store = open_store([folder], EncoderSettings().coding(), least_samples=WINDOW_SAMPLES)
    found = [tuple(len(recording.channels[modality]) for modality in Modality) for recording in store.recordings]
    assert tuple(found) == MONTAGES
    assert all(place.offsets for one in store.recordings for places in one.channels.values() for place in places)


def test_figures_follow_from_the_seconds() -> None:
    found = ThroughputBenchmark(8, ours=Loop(step_s=[2.0, 4.0, 1.0], waited_s=[0.5, 1.0, 0.25], batch_s=[0.1]))
    assert found.samples_per_s(found.ours.step_s) == 4.0
    assert found.samples_per_s(found.ours.batch_s) == 80.0
    assert found.ours.model_s == [1.5, 3.0, 0.75]
    assert found.ours.waiting == 0.25
    assert found.times_faster(found.ours.step_s, [5.0, 3.0]) == 2.0

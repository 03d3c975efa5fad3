"""What happens when memory ends, and where things run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sleepfm.errors import ModelError, RequestError
from sleepfm.inference import window_encoding
from sleepfm.inference.device import Placement, one_thread_each, place
from sleepfm.inference.window_encoding import Encoded, WindowEncoder, Windows
from sleepfm.models.encoder import Encoder
from sleepfm.models.inference_encoder import InferenceEncoder
from sleepfm.vocabulary import TOKEN_SAMPLES, Modality
from tests.inference.small_models import small_encoder

COUNT = 11


def read(windows: range) -> Windows:
    """Return windows of one token that are told apart by their number."""
    x = [np.random.default_rng(k).standard_normal((2, TOKEN_SAMPLES)).astype(np.float32) for k in windows]
    return {Modality.BAS: np.stack(x), Modality.EKG: np.stack(x)[:, :1]}


def encoder() -> Encoder:
    network = small_encoder().network
    assert isinstance(network, Encoder)
    return network


def gather(made: list[tuple[range, Encoded]]) -> np.ndarray:
    assert [k for done, _ in made for k in done] == list(range(COUNT))
    return np.concatenate([encoded[Modality.BAS][1] for _, encoded in made])


@pytest.fixture(scope="module")
def by_cpu() -> np.ndarray:
    return gather(list(WindowEncoder(encoder(), Placement("cpu", "fp32", 1)).encode([range(8), range(8, COUNT)], read)))


class Gpu:
    """A GPU whose memory holds so many windows; what it computes is computed on the CPU."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, holds: int) -> None:
        self.batches: list[int] = []
        on_cpu = WindowEncoder._run
        gpu = self

        def run(self: WindowEncoder, engine: InferenceEncoder, windows: Windows) -> Encoded:
            if self.placement.device == "cpu":
                return on_cpu(self, engine, windows)
            count = len(windows[Modality.BAS])
            gpu.batches.append(count)
            if count > holds:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return on_cpu(WindowEncoder(self.encoder, Placement("cpu", "fp32", 1)), engine, windows)

        monkeypatch.setattr(WindowEncoder, "_run", run)
        monkeypatch.setattr(Encoder, "to", lambda network, _: network)
        monkeypatch.setattr(window_encoding, "GPU_BATCH", 8)


@pytest.mark.parametrize(("holds", "batches"), [(8, [8, 3]), (3, [8, 4, 2, 2, 2, 2, 2, 1]), (1, [8, 4, 2, *[1] * COUNT])])
def test_a_gpu_that_is_too_small_gets_smaller_batches(
    monkeypatch: pytest.MonkeyPatch, by_cpu: np.ndarray, holds: int, batches: list[int]
) -> None:
    gpu = Gpu(monkeypatch, holds)
    engine = WindowEncoder(encoder(), Placement("cuda", "fp32", 1))
    made = gather(list(engine.encode([range(8), range(8, COUNT)], read)))
    np.testing.assert_allclose(made, by_cpu, atol=1e-4)
    assert gpu.batches == batches
    assert engine.placement.device == "cuda"
    assert len(engine.notes) == sum(batches[i] > holds for i in range(len(batches)))
    assert all("went on with" in note for note in engine.notes)


def test_a_gpu_that_holds_nothing_hands_over_to_the_cpu(monkeypatch: pytest.MonkeyPatch, by_cpu: np.ndarray) -> None:
    gpu = Gpu(monkeypatch, 0)
    engine = WindowEncoder(encoder(), Placement("cuda", "fp32", 1))
    np.testing.assert_allclose(gather(list(engine.encode([range(8), range(8, COUNT)], read))), by_cpu, atol=1e-4)
    assert gpu.batches == [8, 4, 2, 1]
    assert engine.placement.device == "cpu"
    assert "the rest ran on the CPU" in engine.notes[-1]


def test_no_memory_on_the_cpu_either_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Encoded:
        raise MemoryError

    monkeypatch.setattr(WindowEncoder, "_run", full)
    with pytest.raises(ModelError, match="not enough memory"):
        list(WindowEncoder(encoder(), Placement("cpu", "fp32", 2)).encode([range(COUNT)], read))


def test_an_error_in_reading_comes_through() -> None:
    def broken(windows: range) -> Windows:
        if 4 in windows:
            raise RequestError("gone")
        return read(windows)

    with pytest.raises(RequestError, match="gone"):
        list(WindowEncoder(encoder(), Placement("cpu", "fp32", 2)).encode([range(COUNT)], broken))


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread_each():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        encoding = WindowEncoder(encoder(), Placement("cpu", "fp32", 2)).encode([range(COUNT)], read)
        next(encoding)
        encoding.close()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_places() -> None:
    assert place("cpu", "bf16", 3) == Placement("cpu", "bf16", 3)
    assert place("cpu").workers >= 1
    with pytest.raises(RequestError, match="unknown device"):
        place("tpu")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="unknown precision"):
        place("cpu", "fp8")  # type: ignore[arg-type]


@pytest.mark.skipif(torch.cuda.is_available(), reason="only a machine without a GPU can lack one")
def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_refused() -> None:
    assert place("auto").device == "cpu"
    with pytest.raises(RequestError, match="no CUDA device"):
        place("cuda")

"""Running an encoder over the windows of a night: threads on a CPU, batches on a GPU, and what happens when memory ends."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import torch

from sleepfm.errors import ModelError
from sleepfm.inference.device import Placement, one_thread_each
from sleepfm.models.encoder import Encoder
from sleepfm.models.inference_encoder import CPU_ROWS, InferenceEncoder
from sleepfm.vocabulary import Modality

Windows = Mapping[Modality, np.ndarray]
"""(window, channel, time) float32 of each modality; the same windows and time in all."""
Encoded = dict[Modality, tuple[np.ndarray, np.ndarray]]
"""(window, E) and (window, token, E) float32 of each modality."""

CPU_BATCH = 2
"""Windows at a time for each thread: more leave the cache, fewer make small matrix products."""
GPU_BATCH = 32
GPU_ROWS = 16_384


@dataclass
class WindowEncoder:
    """Encodes batches of windows in order.

    Attributes
    ----------
    encoder
        In evaluation mode.
    placement
        Where it runs; after memory ran out on the GPU, where it went on.
    notes
        What was done other than asked for, each a sentence.
    """

    encoder: Encoder
    placement: Placement
    notes: list[str] = field(default_factory=list)

    def encode(self, batches: Sequence[range], read: Callable[[range], Windows]) -> Iterator[tuple[range, Encoded]]:
        """Encode all windows.

        Parameters
        ----------
        batches
            Ranges of windows that may go together (equally long ones); they are divided further to fit memory.
        read
            Returns the windows of a range; called from several threads.

        Yields
        ------
        tuple
            A range, in order, and its embeddings.

        Raises
        ------
        ModelError
            When there is not enough memory for a single window on the CPU.
        """
        todo = list(batches)
        if self.placement.device == "cuda":
            todo = yield from self._on_gpu(todo, read)
        yield from self._on_cpu(todo, read)

    def _on_gpu(self, todo: list[range], read: Callable[[range], Windows]) -> Generator[tuple[range, Encoded], None, list[range]]:
        """Yield what the GPU encoded; return what was left when its memory did not suffice for one window."""
        size = GPU_BATCH
        engine: InferenceEncoder | None = None
        while todo:
            now, rest = _first(todo, size)
            encoded: Encoded | None = None
            with suppress(torch.OutOfMemoryError):
                engine = engine or InferenceEncoder(self.encoder.to("cuda"), rows=GPU_ROWS)
                encoded = self._run(engine, read(now))
            if encoded is None:
                torch.cuda.empty_cache()
                if len(now) == 1:
                    self.notes.append("The GPU's memory did not suffice for one window: the rest ran on the CPU.")
                    break
                size = len(now) // 2
                self.notes.append(f"The GPU's memory did not suffice for {len(now)} windows at a time: went on with {size}.")
                continue
            yield now, encoded
            todo = rest
        self.encoder.to("cpu")
        if todo:
            self.placement = Placement("cpu", self.placement.precision, self.placement.workers)
        return todo

    def _on_cpu(self, todo: list[range], read: Callable[[range], Windows]) -> Iterator[tuple[range, Encoded]]:
        if not todo:
            return
        pieces: list[range] = []
        while todo:
            piece, todo = _first(todo, CPU_BATCH)
            pieces.append(piece)
        engine = InferenceEncoder(self.encoder.to("cpu"), rows=CPU_ROWS)
        workers = min(self.placement.workers, len(pieces))
        with one_thread_each(), ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            futures = [pool.submit(lambda piece: self._run(engine, read(piece)), piece) for piece in pieces]
            try:
                for piece, future in zip(pieces, futures, strict=True):
                    yield piece, future.result()
            except (torch.OutOfMemoryError, MemoryError):
                raise ModelError("not enough memory for one window: close other programs, or use fewer threads") from None
            finally:
                pool.shutdown(cancel_futures=True)

    def _run(self, engine: InferenceEncoder, windows: Windows) -> Encoded:
        device = self.placement.device
        x_nct = {modality: torch.from_numpy(array).to(device) for modality, array in windows.items()}
        half = self.placement.precision == "bf16"
        with torch.inference_mode(), torch.autocast(device, dtype=torch.bfloat16, enabled=half):
            encoded = engine(x_nct)
        return {name: (window.float().cpu().numpy(), tokens.float().cpu().numpy()) for name, (window, tokens) in encoded.items()}


def _first(todo: list[range], size: int) -> tuple[range, list[range]]:
    """Take up to `size` windows off the front of the first range."""
    head = todo[0]
    taken, left = head[:size], head[size:]
    return taken, ([left] if left else []) + todo[1:]

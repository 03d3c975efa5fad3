"""A recording that lives in memory: any signal as a function of time, gaps where asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from sleepfm.errors import RequestError
from sleepfm.recording.recording import Annotation, Channel
from sleepfm.vocabulary import Kind


class MemoryRecording:
    path = Path("memory.edf")
    format = "EDF+C"
    start: datetime | None = datetime(2026, 3, 4, 22, 41, 7)
    problems: tuple[str, ...] = ()
    patient = ""
    simulated = False

    def __init__(
        self,
        signals: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]],
        duration_s: float,
        gaps: tuple[tuple[float, float], ...] = (),
        kinds: dict[str, Kind] | None = None,
        units: dict[str, str] | None = None,
    ) -> None:
        self.duration_s = duration_s
        self.gaps = gaps
        self._functions = [function for _, function in signals.values()]
        self.channels = tuple(
            Channel(
                index=index, label=label, rate_hz=rate, unit=(units or {}).get(label, "µV"), original_unit="uV",
                kind=(kinds or {}).get(label, Kind.EEG), modality=None, reason="",
                gain=1.0, offset=0.0, digital_min=-32768, digital_max=32767,
            )
            for index, (label, (rate, _)) in enumerate(signals.items())
        )  # fmt: skip
        self.longest_read_s = 0.0

    def channel(self, index: int) -> Channel:
        if not 0 <= index < len(self.channels):
            raise RequestError(f"no channel {index}")
        return self.channels[index]

    def read(self, index: int, start_s: float, stop_s: float) -> np.ndarray:
        self.longest_read_s = max(self.longest_read_s, stop_s - start_s)
        rate = self.channel(index).rate_hz
        t = np.arange(int(np.ceil(start_s * rate - 1e-6)), int(np.ceil(stop_s * rate - 1e-6))) / rate
        x = self._functions[index](t).astype(np.float32)
        missing = (t < -1e-9) | (t >= self.duration_s - 1e-9)
        for start, stop in self.gaps:
            missing |= (t >= start - 1e-9) & (t < stop - 1e-9)
        x[missing] = np.nan
        return x

    def read_many(self, indices: Sequence[int], start_s: float, stop_s: float) -> list[np.ndarray]:
        return [self.read(index, start_s, stop_s) for index in indices]

    def segments(self) -> tuple[tuple[float, float], ...]:
        raise NotImplementedError

    def digital(self, index: int, segment: int) -> np.ndarray:
        raise NotImplementedError

    def annotations(self) -> tuple[Annotation, ...]:
        return ()

    def close(self) -> None:
        pass

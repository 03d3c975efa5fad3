"""A recording made of functions of time, whose events are known to the second; and the same as an EDF."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path

import edfio
import numpy as np

from sleepfm.recording.recording import Annotation, Channel
from sleepfm.vocabulary import Kind

Signal = Callable[[np.ndarray], np.ndarray]


class HandMadeRecording:
    """Signals by label: (kind, unit, rate in Hz, function of the time in s); NaN in the gaps."""

    path = Path("hand-made.edf")
    format = "EDF+D"
    start: datetime | None = datetime(2026, 3, 4, 22, 30)
    problems: tuple[str, ...] = ()
    patient = ""
    simulated = True

    def __init__(
        self,
        signals: Mapping[str, tuple[Kind, str, float, Signal]],
        duration_s: float,
        gaps: Sequence[tuple[float, float]] = (),
        transducers: Mapping[str, str] | None = None,
        marks: tuple[Annotation, ...] = (),
    ) -> None:
        self._marks = marks
        self.duration_s = duration_s
        self.gaps = tuple(gaps)
        self._functions = [signal for *_, signal in signals.values()]
        self.channels = tuple(
            Channel(
                index=index, label=label, rate_hz=rate, unit=unit, original_unit=unit, kind=kind, modality=None, reason="",
                gain=1.0, offset=0.0, digital_min=-32768, digital_max=32767, transducer=(transducers or {}).get(label, ""),
            )
            for index, (label, (kind, unit, rate, _)) in enumerate(signals.items())
        )  # fmt: skip

    def channel(self, index: int) -> Channel:
        return self.channels[index]

    def read(self, index: int, start_s: float, stop_s: float) -> np.ndarray:
        rate = self.channels[index].rate_hz
        t = np.arange(int(np.ceil(start_s * rate - 1e-6)), int(np.ceil(stop_s * rate - 1e-6))) / rate
        x = np.asarray(self._functions[index](t)).astype(np.float32)
        for start, stop in self.gaps:
            x[(t >= start - 1e-9) & (t < stop - 1e-9)] = np.nan
        return x

    def read_many(self, indices: Sequence[int], start_s: float, stop_s: float) -> list[np.ndarray]:
        return [self.read(index, start_s, stop_s) for index in indices]

    def segments(self) -> tuple[tuple[float, float], ...]:
        ends = [0.0, *(at_s for gap in self.gaps for at_s in gap), self.duration_s]
        return tuple((a, b) for a, b in zip(ends[::2], ends[1::2], strict=True) if b > a)

    def digital(self, index: int, segment: int) -> np.ndarray:
        raise NotImplementedError

    def annotations(self) -> tuple[Annotation, ...]:
        return self._marks

    def close(self) -> None:
        pass


def noise(size: float, seed: int) -> Signal:
    return lambda t: np.random.default_rng([seed, int(t[0] * 1000) if len(t) else 0]).normal(0, size, len(t))


def breathing(size: float, stops: Sequence[tuple[float, float]] = (), seed: int = 0) -> Signal:
    """15 breaths a minute that stop, but for some noise, in these stretches of time (s)."""

    def signal(t: np.ndarray) -> np.ndarray:
        gain = np.ones(len(t))
        for start, stop in stops:
            gain[(t >= start) & (t < stop)] = 0.01
        return size * (gain * np.sin(2 * np.pi * 0.25 * t) + noise(0.01, seed)(t))

    return signal


def saturation(level: float, dips: Sequence[tuple[float, float, float]]) -> Signal:
    """Oxygen saturation in % that falls by so much between two times: dips are (start_s, stop_s, depth)."""

    def signal(t: np.ndarray) -> np.ndarray:
        values = np.full(len(t), level)
        for start, stop, depth in dips:
            values[(t >= start) & (t < stop)] -= depth
        return values

    return signal


def kicks(at_s: Sequence[float], lasting_s: float = 1.5, size_uv: float = 60.0, seed: int = 1) -> Signal:
    """A quiet leg muscle (µV) that twitches at these times."""

    def signal(t: np.ndarray) -> np.ndarray:
        loud = np.zeros(len(t), dtype=bool)
        for start in at_s:
            loud |= (t >= start) & (t < start + lasting_s)
        return noise(1.0, seed)(t) * np.where(loud, size_uv, 1.0)

    return signal


def heart(beats_s: np.ndarray, size_mv: float = 1.0) -> Signal:
    """An ECG (mV): a narrow R wave at each beat and a T wave behind it."""

    def signal(t: np.ndarray) -> np.ndarray:
        x = noise(0.01, 7)(t)
        for beat in beats_s:
            near = slice(*np.searchsorted(t, (beat - 0.1, beat + 0.5)))
            x[near] += size_mv * np.exp(-0.5 * ((t[near] - beat) / 0.012) ** 2)
            x[near] += 0.2 * size_mv * np.exp(-0.5 * ((t[near] - beat - 0.25) / 0.04) ** 2)
        return x

    return signal


def write_oximetry(path: Path, *, seconds: int = 600, dips: Sequence[tuple[float, float, float]] = ((200, 230, 5.0),)) -> Path:
    """Write an EDF with oxygen saturation only."""
    values = saturation(96.0, dips)(np.arange(seconds, dtype=np.float64))
    spo2 = edfio.EdfSignal(values, 1, label="SpO2", physical_dimension="%", physical_range=(0, 100))
    edfio.Edf([spo2], recording=edfio.Recording(startdate=date(2020, 1, 2)), starttime=time(22, 30)).write(path)
    return path

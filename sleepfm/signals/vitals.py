"""Oxygen, heart rate and position over the night, one value a second, so that statistics need not read the recording."""

from __future__ import annotations

import json
import math
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from sleepfm.errors import RecordingError
from sleepfm.files import atomic_path
from sleepfm.progress import Progress, part, silent
from sleepfm.recording.recording import Channel, Recording
from sleepfm.signals.heart_beats import LEAST_ECG_RATE_HZ, find_beats, heart_rate
from sleepfm.vocabulary import Kind

NO_POSITION = -32768
"""Code of a second in which the position is not known."""
SPO2_RANGE = (50.0, 100.0)
"""Saturations in % that a sleeper can have (Luna's QC default); others are a sensor that is off."""
PULSE_RANGE = (25.0, 220.0)
"""Pulse rates in bpm that a sleeper can have."""
_ROUNDING = 0.5
"""An EDF's 16 bits make 100.0015 of 100 %: so much beyond a limit is the limit."""
_JUMP, _LONGEST_LOW_S = 8.0, 60
"""Oximeters average over 3 s (AASM manual): saturation that falls by more than this in % from one second to the next and comes
back as suddenly within a minute is a sensor that slipped (Luna's QC flags jumps of more than 4)."""
_ENOUGH = 0.5
"""Share of the recorded time from which the first channel of a kind is good enough not to look for a better one."""
_ALL = 0.9995
"""From this share on nothing is said of what is missing."""
_MOST_CODES = 12
"""A position channel with more values than this gives angles or voltages, not codes."""
_NAMED_CODE = re.compile(r"(?<![\w.])(\d{1,3})\s*[=:]\s*([A-Za-z][A-Za-z -]{0,23}[A-Za-z])")


@dataclass(frozen=True, eq=False)
class Vitals:
    """Slow signals of a recording, one value for each second from its start; second k is the stretch k to k + 1 s.

    Attributes
    ----------
    spo2_1hz
        (seconds,) float32 oxygen saturation in %, NaN where there is none that can be believed.
    heart_rate_1hz
        (seconds,) float32 in beats per minute, NaN where there is none that can be believed.
    position_1hz
        (seconds,) int16 codes as the recorder wrote them, `NO_POSITION` where there is none.
    position_names
        What a code means, only where the file itself says so; empty otherwise, for the codes differ between recorders.
    beats_s
        (beats,) float64 times of the heart beats in seconds from the recording's start; empty when the rate is not from an ECG.
    spo2_channel, heart_channel, position_channel
        Labels of the channels that were read, "" when the recording has none. Hostile text.
    heart_source
        "ECG" or "pulse", "" when there is no heart rate.
    spo2_share, heart_share
        Share of the recorded time with a value that can be believed (0 to 1), None without such a channel.
    remarks
        What was left out and why, each a sentence.
    """

    spo2_1hz: np.ndarray
    heart_rate_1hz: np.ndarray
    position_1hz: np.ndarray
    position_names: dict[int, str]
    beats_s: np.ndarray
    spo2_channel: str = ""
    heart_channel: str = ""
    position_channel: str = ""
    heart_source: str = ""
    spo2_share: float | None = None
    heart_share: float | None = None
    remarks: tuple[str, ...] = ()

    def save(self, path: Path) -> None:
        """Write to an .npz file, atomically; SleepFMError when the disk is full or the folder cannot be written."""
        about = {
            "position_names": {str(code): name for code, name in self.position_names.items()},
            "spo2_channel": self.spo2_channel,
            "heart_channel": self.heart_channel,
            "position_channel": self.position_channel,
            "heart_source": self.heart_source,
            "spo2_share": self.spo2_share,
            "heart_share": self.heart_share,
            "remarks": self.remarks,
        }
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                spo2_1hz=self.spo2_1hz,
                heart_rate_1hz=self.heart_rate_1hz,
                position_1hz=self.position_1hz,
                beats_s=self.beats_s,
                about=np.frombuffer(json.dumps(about).encode("ascii"), dtype=np.uint8),
            )

    @classmethod
    def load(cls, path: Path) -> Vitals:
        """Read what `save` wrote; RecordingError when it cannot be read."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                about = json.loads(stored["about"].tobytes())
                names = {int(code): str(name) for code, name in about.pop("position_names").items()}
                about["remarks"] = tuple(about["remarks"])
                return cls(
                    spo2_1hz=stored["spo2_1hz"],
                    heart_rate_1hz=stored["heart_rate_1hz"],
                    position_1hz=stored["position_1hz"],
                    beats_s=stored["beats_s"],
                    position_names=names,
                    **about,
                )
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            raise RecordingError(f"{path}: holds no vitals ({error}); delete it and it is made again.") from None


def measure_vitals(recording: Recording, progress: Progress = silent) -> Vitals:
    """Read oxygen, heart rate and position of a recording.

    Of several channels of a kind the first that can be believed for half of the time is taken, else the best one. The heart rate
    comes from the beats of an ECG; only without a usable one from a pulse channel, which averages over some seconds.
    """
    seconds = math.ceil(recording.duration_s - 1e-9)
    recorded = recorded_seconds(recording)
    remarks: list[str] = []
    progress(0.0, "reading oxygen saturation")
    spo2, oximeter, spo2_share = _best_number(recording, Kind.SPO2, SPO2_RANGE, recorded)
    spo2 = np.round(spo2, 2)  # an EDF's 16 bits make 92.9997 of 93: a fall of 3 % must not be one of 2.9994
    if oximeter is not None and oximeter.rate_hz >= 1:  # between two samples of a slower one a sleeper falls as far
        spo2 = without_slips(spo2)
    if spo2_share is not None:
        spo2_share = float(np.isfinite(spo2[recorded]).mean()) if recorded.any() else 0.0
        if spo2_share < _ALL:
            remarks.append(
                f"SpO2: {100 * (1 - spo2_share):.1f} % of the recorded time is outside 50 to 100 %, or falls and comes back at a"
                " jump, and left out."
            )
    beats, rate, heart_channel, heart_share = _best_ecg(recording, recorded, remarks, part(progress, 0.1, 0.9))
    source = "ECG" if heart_channel else ""
    if not heart_channel:
        rate, pulse, heart_share = _best_number(recording, Kind.PULSE, PULSE_RANGE, recorded)
        source, heart_channel = ("", "") if pulse is None else ("pulse", pulse.label)
    progress(0.95, "reading the position")
    position, names, position_channel = _position(recording, seconds, remarks)
    progress(1.0, "reading the position")
    return Vitals(
        spo2_1hz=spo2,
        heart_rate_1hz=rate,
        position_1hz=position,
        position_names=names,
        beats_s=beats,
        spo2_channel="" if oximeter is None else oximeter.label,
        heart_channel=heart_channel,
        position_channel=position_channel,
        heart_source=source,
        spo2_share=spo2_share,
        heart_share=heart_share,
        remarks=tuple(remarks),
    )


def recorded_seconds(recording: Recording) -> np.ndarray:
    """Return (seconds,) bool: which seconds from the recording's start lie, at least in part, outside its gaps."""
    recorded = np.ones(math.ceil(recording.duration_s - 1e-9), dtype=bool)
    for start_s, stop_s in recording.gaps:
        recorded[math.ceil(start_s) : math.floor(stop_s)] = False
    return recorded


def per_second(samples: np.ndarray, rate_hz: float, seconds: int) -> np.ndarray:
    """Return the mean of a slow signal in each second, (seconds,) float32; samples that are NaN do not count.

    A second without a sample of its own takes over the one before when the channel is slower than 1 Hz, else it is NaN.
    """
    index = np.minimum((np.arange(len(samples)) / rate_hz + 1e-6).astype(np.int64), max(seconds - 1, 0))
    good = np.isfinite(samples)
    total = np.bincount(index[good], weights=samples[good].astype(np.float64), minlength=seconds)[:seconds]
    count = np.bincount(index[good], minlength=seconds)[:seconds]
    mean = np.full(seconds, np.nan, dtype=np.float32)
    np.divide(total, count, out=mean, where=count > 0, casting="unsafe")
    if rate_hz < 1 and len(samples):
        held = samples[np.minimum((np.arange(seconds) * rate_hz + 1e-6).astype(np.int64), len(samples) - 1)]
        mean = np.where(count > 0, mean, held).astype(np.float32)
    return mean


def without_slips(spo2_1hz: np.ndarray) -> np.ndarray:
    """Return saturation once a second with NaN for stretches of up to a minute that begin and end with a jump of more than 8 %.

    A hole in the values counts as an end: what is read while a sensor comes off and on again is no saturation.

    Examples
    --------
    >>> without_slips(np.array([96.0, 96.0, 70.0, 70.0, 96.0, 92.0]))
    array([96., 96., nan, nan, 96., 92.])
    """
    cleaned = spo2_1hz.copy()
    while True:
        known = np.flatnonzero(np.isfinite(cleaned))
        values = cleaned[known].astype(np.float64)
        ends = np.flatnonzero((np.diff(known) > 1) | (np.abs(np.diff(values)) > _JUMP)) + 1
        slipped = [
            known[first:stop]
            for first, stop in pairwise(ends)
            if stop - first <= _LONGEST_LOW_S
            and values[first - 1] - values[first] > _JUMP
            and values[stop] - values[stop - 1] > _JUMP
        ]
        if not slipped:
            return cleaned
        cleaned[np.concatenate(slipped)] = np.nan  # a fall in several jumps is taken back from its lowest


def _of_kind(recording: Recording, kind: Kind) -> list[Channel]:
    return [channel for channel in recording.channels if channel.kind is kind]


def _best_number(
    recording: Recording, kind: Kind, limits: tuple[float, float], recorded: np.ndarray
) -> tuple[np.ndarray, Channel | None, float | None]:
    """Return the values of the best channel of a kind, NaN outside the limits, with that and its share; NaN without any."""
    best: tuple[np.ndarray, Channel | None, float | None] = (np.full(len(recorded), np.nan, dtype=np.float32), None, None)
    for channel in _of_kind(recording, kind):
        samples = recording.read(channel.index, 0.0, recording.duration_s)
        samples[~((samples >= limits[0] - _ROUNDING) & (samples <= limits[1] + _ROUNDING))] = np.nan
        values = per_second(samples.clip(*limits), channel.rate_hz, len(recorded))
        share = float(np.isfinite(values[recorded]).mean()) if recorded.any() else 0.0
        if best[2] is None or share > best[2]:
            best = (values, channel, share)
        if share >= _ENOUGH:
            break
    return best


def _best_ecg(
    recording: Recording, recorded: np.ndarray, remarks: list[str], progress: Progress
) -> tuple[np.ndarray, np.ndarray, str, float | None]:
    """Return beats, rate, label and share of the best ECG channel; empty when none gives a rate at all."""
    none = np.full(len(recorded), np.nan, dtype=np.float32)
    best: tuple[np.ndarray, np.ndarray, str, float | None] = (np.empty(0), none, "", None)
    channels = _of_kind(recording, Kind.ECG)
    for number, channel in enumerate(channels):
        here = part(progress, number / len(channels), (number + 1) / len(channels))
        if channel.rate_hz < LEAST_ECG_RATE_HZ:
            remarks.append(f"{channel.label}: sampled at {channel.rate_hz:g} Hz, too slowly to find heart beats in.")
            continue
        pieces = find_beats(recording, channel, here)
        rate = heart_rate(pieces, len(recorded))
        share = float(np.isfinite(rate[recorded]).mean()) if recorded.any() else 0.0
        if share > (best[3] or 0.0):
            best = (np.concatenate(pieces), rate, channel.label, share)
        if share >= _ENOUGH:
            break
    if channels and best[3] is None:
        remarks.append("ECG: no heart beats were found in it.")
    elif best[3] is not None and best[3] < _ALL:
        remarks.append(f"ECG: {100 * (1 - best[3]):.1f} % of the recorded time has no believable heart beats.")
    return best


def _position(recording: Recording, seconds: int, remarks: list[str]) -> tuple[np.ndarray, dict[int, str], str]:
    """Return the codes of the first position channel that has codes, with the names that the file gives them."""
    for channel in _of_kind(recording, Kind.POSITION):
        samples = recording.read(channel.index, 0.0, recording.duration_s)
        codes = np.round(samples)
        good = np.isfinite(samples)
        whole = good & (np.abs(samples - codes) <= 0.05) & (np.abs(codes) < -NO_POSITION)  # 16 bits hardly hit a whole number
        known = np.unique(codes[whole])
        measured = channel.unit in {"°", "g"}  # an angle or an accelerometer, even where it hardly moves
        if measured or not good.any() or whole.sum() < 0.99 * good.sum() or len(known) > _MOST_CODES:
            remarks.append(f"{channel.label}: its values are no codes of positions; they are left out.")
            continue
        at = np.minimum((np.arange(seconds) * channel.rate_hz + 1e-6).astype(np.int64), len(samples) - 1)
        position = np.where(whole[at], codes[at], NO_POSITION).astype(np.int16)
        return position, _names((channel.transducer, channel.prefilter, channel.original_unit)), channel.label
    return np.full(seconds, NO_POSITION, dtype=np.int16), {}, ""


def _names(texts: Sequence[str]) -> dict[int, str]:
    """Return what the header's texts say the codes mean ("0=Supine, 1=Left"); nothing unless it names two of them."""
    found = {int(code): name for text in texts for code, name in _NAMED_CODE.findall(text)}
    return found if len(found) > 1 else {}

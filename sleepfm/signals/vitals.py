"""Oxygen, heart rate and position over the night, one value a second: what statistics and reports read instead of the recording."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sleepfm.errors import RecordingError
from sleepfm.files import atomic_path

NO_POSITION = -32768
"""Code of a second in which the position is not known."""


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
            with np.load(path, allow_pickle=False) as stored:
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
        except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            raise RecordingError(f"{path}: holds no vitals ({error}); delete it and it is made again.") from None

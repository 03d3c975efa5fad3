"""Signal quality by channel and 30-s epoch: what is wrong with which, and which units are suspected to be wrong."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from sleepfm.errors import RecordingError, RequestError
from sleepfm.files import atomic_path
from sleepfm.progress import Progress, silent
from sleepfm.recording import _quality_limits as limits
from sleepfm.recording._channel_judge import ChannelJudge
from sleepfm.recording._quality_flags import FLAG_WORDS, UNUSABLE, QualityFlag
from sleepfm.recording.recording import Recording
from sleepfm.vocabulary import EPOCH_S

_CHUNK_BYTES = 48 << 20
"""Samples read at once, as float32."""


@dataclass(frozen=True)
class QualityReport:
    """The quality of a recording.

    Attributes
    ----------
    channels
        File indices of the channels, one a row of `flags`.
    judged
        (n_channels,) bool: channels that feed the model; of the others only gaps are known.
    flags
        (n_channels, n_epochs) uint8 of `QualityFlag`, on the grid of epochs from the recording's start; the last epoch may be
        incomplete.
    suspicions
        For each channel why its unit is suspected to be wrong, a sentence, or "".
    """

    channels: tuple[int, ...]
    judged: np.ndarray
    flags: np.ndarray
    suspicions: tuple[str, ...]

    def of(self, index: int) -> np.ndarray:
        """Return (n_epochs,) flags of the channel with this file index; RequestError when there is none."""
        row: np.ndarray = self.flags[self._row(index)]
        return row

    def share(self, index: int, flag: QualityFlag) -> float:
        """Return the share of the channel's epochs with data (of all epochs for GAP) that carry any of these flags."""
        row = self.of(index)
        if flag is not QualityFlag.GAP:
            row = row[(row & QualityFlag.GAP) == 0]
        return float(np.mean((row & flag) != 0)) if row.size else 0.0

    def is_bad(self, index: int) -> bool:
        """Whether more than half of the channel's epochs are unusable, or an hour without a break."""
        if self.share(index, UNUSABLE) > limits.BAD_SHARE:
            return True
        bad = (self.of(index) & UNUSABLE) != 0
        edges = np.flatnonzero(np.diff(np.concatenate([[0], bad.astype(np.int8), [0]])))
        return bool(edges.size) and int((edges[1::2] - edges[::2]).max()) * EPOCH_S >= limits.BAD_RUN_S

    def bad_channels(self) -> tuple[int, ...]:
        """Return the file indices of the bad channels."""
        return tuple(index for index in self.channels if self.is_bad(index))

    def share_good(self) -> float:
        """Return the share of usable epochs of all channels that feed the model; 0 when there are none."""
        rows = self.flags[self.judged]
        with_data = (rows & QualityFlag.GAP) == 0
        return float(np.mean((rows[with_data] & UNUSABLE) == 0)) if with_data.any() else 0.0

    def suspicion(self, index: int) -> str:
        """Return why the channel's unit is suspected to be wrong, "" when it is not."""
        return self.suspicions[self._row(index)]

    def words(self, index: int) -> str:
        """Return the channel's quality in a few words: "12 % flat, 3 % clipped", "good"; the unit suspicion behind it."""
        shares = [(self.share(index, flag), word) for flag, word in FLAG_WORDS.items()]
        found = [f"{100 * share:.0f} % {word}" if share >= 0.01 else f"<1 % {word}" for share, word in shares if share]
        row = self._row(index)
        said = ", ".join(found) or ("good" if self.judged[row] and self.flags.shape[1] else "not judged")
        return f"{said}; {self.suspicions[row]}" if self.suspicions[row] else said

    def save(self, path: Path) -> None:
        """Write the report to an .npz file, atomically; SleepFMError when the disk is full or the folder cannot be written."""
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                channels=np.array(self.channels, dtype=np.int32),
                judged=self.judged,
                flags=self.flags,
                suspicions=np.frombuffer(json.dumps(self.suspicions).encode("ascii"), dtype=np.uint8),
            )

    @classmethod
    def load(cls, path: Path) -> QualityReport:
        """Read what `save` wrote; RecordingError when it cannot be read."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                return cls(
                    channels=tuple(int(index) for index in stored["channels"]),
                    judged=stored["judged"],
                    flags=stored["flags"],
                    suspicions=tuple(json.loads(stored["suspicions"].tobytes())),
                )
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise RecordingError(f"{path}: is no quality report ({error}); delete it and it is made again.") from None

    @cached_property
    def _rows(self) -> dict[int, int]:
        return {index: row for row, index in enumerate(self.channels)}

    def _row(self, index: int) -> int:
        try:
            return self._rows[index]
        except KeyError:
            raise RequestError(f"the quality report has no channel with index {index}") from None


def assess(recording: Recording, progress: Progress = silent) -> QualityReport:
    """Judge every epoch of every channel; channels of no modality only for gaps.

    Reads the file once, in pieces of some 50 MB.
    """
    channels = recording.channels
    n_epochs = int(np.ceil(recording.duration_s / EPOCH_S - 1e-9))
    judges = [ChannelJudge(channel, n_epochs) for channel in channels]
    rate = sum(channel.rate_hz for channel in channels)
    step = int(max(1, min(60, _CHUNK_BYTES / (4 * EPOCH_S * rate)))) if channels else 1
    for first in range(0, n_epochs, step):
        last = min(first + step, n_epochs)
        progress(first / n_epochs, "Judging signal quality")
        stop_s = min(last * EPOCH_S, recording.duration_s)
        windows = recording.read_many([channel.index for channel in channels], first * EPOCH_S, stop_s)
        for judge, window in zip(judges, windows, strict=True):
            judge.look(window, first, last)
    progress(1.0, "Judging signal quality")
    return QualityReport(
        channels=tuple(channel.index for channel in channels),
        judged=np.array([channel.modality is not None for channel in channels], dtype=bool),
        flags=np.stack([judge.flags() for judge in judges]) if judges else np.zeros((0, n_epochs), dtype=np.uint8),
        suspicions=tuple(judge.suspicion() for judge in judges),
    )

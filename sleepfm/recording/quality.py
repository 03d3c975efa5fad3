"""Which channels of a recording can be trusted, epoch by epoch, and why not. The limits are in `_quality_rules`."""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sleepfm.errors import RecordingError, RequestError
from sleepfm.files import atomic_path
from sleepfm.progress import Progress, silent
from sleepfm.recording._quality_measures import EpochMeter
from sleepfm.recording._quality_rules import BAD, ELECTRODES, NUMBERS, WAVEFORM_HZ, QualityFlag, judge, runs
from sleepfm.recording.recording import Channel, Recording
from sleepfm.vocabulary import EPOCH_S

__all__ = ["QualityFlag", "QualityReport", "assess"]

BAD_SHARE = 0.5
"""A channel is bad when more of its judged epochs are bad (Luna, QC) ..."""
BAD_RUN_S = 3600.0
"""... or as long a run of them (Luna, QC)."""
BLOCK_S = 600.0
"""Read at a time, less where the channels are many or fast ..."""
BLOCK_BYTES = 48 << 20
"""... so that a block's samples stay below this."""
_FORMAT = 1
_WORDS = {
    QualityFlag.FLAT: "flat",
    QualityFlag.CLIPPED: "clipped",
    QualityFlag.DISCONNECTED: "bad contact",
    QualityFlag.OUT_OF_RANGE: "out of range",
    QualityFlag.LINE_NOISE: "mains hum",
    QualityFlag.GAP: "missing",
}


@dataclass(frozen=True, eq=False)
class QualityReport:
    """What was found in each 30-s epoch of each channel.

    Attributes
    ----------
    epochs
        Started 30-s epochs; the last may be shorter.
    channels
        File indices, one a row of `flags`. Kinds without rules of their own (position, light, …) can only have GAP, and
        FLAT where a channel of unknown kind never changes.
    labels
        Their labels as written in the file (hostile text).
    flags
        (n_channels, n_epochs) uint8, sums of `QualityFlag`.
    wrong_unit
        Channel index -> why its unit is doubted; limits that need the unit were not applied to it then.
    with_modality
        File indices of the channels that have a modality: those `share_good` is about.
    """

    epochs: int
    channels: tuple[int, ...]
    labels: tuple[str, ...]
    flags: np.ndarray
    wrong_unit: dict[int, str] = field(default_factory=dict)
    with_modality: tuple[int, ...] = ()

    def bad_channels(self) -> list[int]:
        """Return the channels of which more than half of the judged epochs are bad, or an hour of them in a row."""
        longest = BAD_RUN_S / EPOCH_S
        found = []
        for index in self.channels:
            bad = self._judged_bad(index)
            if bad.size and (bad.mean() > BAD_SHARE or any(stop - start >= longest for start, stop in runs(bad))):
                found.append(index)
        return found

    def share_bad(self, index: int) -> float:
        """Return the share of a channel's judged epochs (those without GAP) that are bad; 0 when none was judged."""
        bad = self._judged_bad(index)
        return float(bad.mean()) if bad.size else 0.0

    def share_good(self) -> float:
        """Return the share of good epochs among all judged ones of the channels with a modality; 0 when none was judged."""
        rows = [self._row(index) for index in self.with_modality]
        judged = [row[(row & QualityFlag.GAP) == 0] for row in rows]
        total = sum(len(row) for row in judged)
        return sum(int(((row & BAD) == 0).sum()) for row in judged) / total if total else 0.0

    def words(self, index: int) -> str:
        """Return one sentence on what was found in a channel, "" when nothing was."""
        row = self._row(index)
        judged = (row & QualityFlag.GAP) == 0
        found = []
        for flag, word in _WORDS.items():
            share = float((row & flag != 0).sum()) / max(len(row) if flag is QualityFlag.GAP else int(judged.sum()), 1)
            if share:
                found.append(f"{word} in {_percent(share)} of the epochs")
        if index in self.wrong_unit:
            found.append(self.wrong_unit[index])
        text = "; ".join(found)
        return f"{text[:1].upper()}{text[1:]}." if text else ""

    def epoch_words(self, index: int, epoch: int) -> str:
        """Return what was found in one epoch of a channel, "" when nothing was.

        Raises
        ------
        RequestError
            When the report has no such channel or epoch.
        """
        row = self._row(index)
        if not 0 <= epoch < self.epochs:
            raise RequestError(f"there is no epoch {epoch}: the recording has {self.epochs}")
        return ", ".join(word for flag, word in _WORDS.items() if row[epoch] & flag)

    def save(self, path: Path) -> None:
        """Write the report as npz (no pickles), whole or not at all.

        Raises
        ------
        SleepFMError
            When the folder cannot be written or the disk is full.
        """
        about = {
            "format": _FORMAT,
            "epochs": self.epochs,
            "channels": self.channels,
            "labels": self.labels,
            "wrong_unit": [[index, text] for index, text in self.wrong_unit.items()],
            "with_modality": self.with_modality,
        }
        # labels as JSON: numpy's text arrays drop the zero bytes that a hostile label may end with
        packed = np.frombuffer(json.dumps(about).encode("ascii"), dtype=np.uint8)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, about=packed, flags=self.flags)

    @classmethod
    def load(cls, path: Path) -> QualityReport:
        """Read what `save` wrote.

        Raises
        ------
        RecordingError
            When the file is missing, damaged or of another version.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                about = json.loads(stored["about"].tobytes())
                flags = stored["flags"]
            if about["format"] != _FORMAT:
                raise ValueError(f"format {about['format']}")
            report = cls(
                epochs=int(about["epochs"]),
                channels=tuple(map(int, about["channels"])),
                labels=tuple(map(str, about["labels"])),
                flags=flags,
                wrong_unit={int(index): str(text) for index, text in about["wrong_unit"]},
                with_modality=tuple(map(int, about["with_modality"])),
            )
            if flags.dtype != np.uint8 or flags.shape != (len(report.channels), report.epochs):
                raise ValueError("the flags do not fit")
            if len(report.labels) != len(report.channels) or not set(report.with_modality) <= set(report.channels):
                raise ValueError("the channels do not fit")
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            raise RecordingError(f"{path}: is not a readable quality report ({error}); assess the recording again") from error
        return report

    def _row(self, index: int) -> np.ndarray:
        try:
            return self.flags[self.channels.index(index)]
        except ValueError:
            raise RequestError(f"the quality report has no channel {index}") from None

    def _judged_bad(self, index: int) -> np.ndarray:
        row = self._row(index)
        return (row[(row & QualityFlag.GAP) == 0] & BAD) != 0


def assess(recording: Recording, progress: Progress = silent) -> QualityReport:
    """Read a recording once, block by block, and judge every epoch of every channel.

    Limits in µV, mV, % and bpm are applied only where the channel's unit is known to be that one; otherwise only rules that
    need no unit. Every limit with its source is in `_quality_rules`.

    Parameters
    ----------
    recording
        The open recording.
    progress
        Called once a block; may raise Cancelled.

    Raises
    ------
    RecordingChangedError
        When the file changed under the open recording.
    """
    epochs = math.ceil(recording.duration_s / EPOCH_S - 1e-9)
    indices = [channel.index for channel in recording.channels]
    meters = [_meter(channel, epochs, recording.duration_s) for channel in recording.channels]
    bytes_per_epoch = 4 * EPOCH_S * sum(channel.rate_hz for channel in recording.channels)
    block = max(1, min(int(BLOCK_S / EPOCH_S), int(BLOCK_BYTES / max(bytes_per_epoch, 1.0))))
    for first in range(0, epochs if meters else 0, block):
        progress(first / epochs, "assessing quality")
        stop = min(first + block, epochs)
        for meter, samples in zip(meters, recording.read_many(indices, first * EPOCH_S, stop * EPOCH_S), strict=True):
            meter.feed(first, samples)
    flags = np.zeros((len(indices), epochs), dtype=np.uint8)
    wrong_unit = {}
    for row, (channel, meter) in enumerate(zip(recording.channels, meters, strict=True)):
        flags[row], doubt = judge(channel, meter.measures)
        if doubt:
            wrong_unit[channel.index] = doubt
    progress(1.0, "quality assessed")
    return QualityReport(
        epochs=epochs,
        channels=tuple(indices),
        labels=tuple(channel.label for channel in recording.channels),
        flags=flags,
        wrong_unit=wrong_unit,
        with_modality=tuple(channel.index for channel in recording.channels if channel.modality is not None),
    )


def _meter(channel: Channel, epochs: int, duration_s: float) -> EpochMeter:
    electrode, number = ELECTRODES.get(channel.kind), NUMBERS.get(channel.kind)
    return EpochMeter(
        channel,
        epochs,
        duration_s,
        spectra=electrode is not None and channel.rate_hz >= WAVEFORM_HZ,
        far=electrode.far if electrode is not None else None,
        inside=number.inside if number is not None else None,
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"

"""What may be wrong with an epoch of a channel, and the words for it: the one list that reports, screens and files share."""

from __future__ import annotations

from enum import IntFlag


class QualityFlag(IntFlag):
    """What may be wrong with an epoch of a channel; stored as uint8."""

    GOOD = 0
    FLAT = 1
    CLIPPED = 2
    DISCONNECTED = 4
    LINE_NOISE = 8
    OUT_OF_RANGE = 16
    GAP = 32
    POPS = 64


UNUSABLE = QualityFlag.FLAT | QualityFlag.CLIPPED | QualityFlag.DISCONNECTED | QualityFlag.OUT_OF_RANGE
"""Flags that make an epoch bad. Line noise can be filtered away, an epoch with a pop can be scored, a gap is no fault of the
channel."""
FLAG_WORDS: dict[QualityFlag, str] = {
    QualityFlag.FLAT: "flat",
    QualityFlag.CLIPPED: "clipped",
    QualityFlag.DISCONNECTED: "disconnected",
    QualityFlag.LINE_NOISE: "line noise",
    QualityFlag.OUT_OF_RANGE: "out of range",
    QualityFlag.POPS: "electrode pops",
    QualityFlag.GAP: "no data",
}

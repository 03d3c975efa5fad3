"""Which of a recording's channels an encoder is given, and why the others are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sleepfm.inference.embedding_files import LeftOut
from sleepfm.models.card import SignalCoding
from sleepfm.signals.store import SignalsFile, StoredChannel
from sleepfm.vocabulary import WINDOW_SAMPLES, Kind, Modality


def choose_channels(
    signals: SignalsFile, coding: SignalCoding, bad: Mapping[str, str]
) -> tuple[dict[Modality, tuple[StoredChannel, ...]], tuple[LeftOut, ...]]:
    """Decide which channels are taken.

    Flat channels, those named bad and those with values that are not numbers are left out. Where more are left than the
    encoder was made for (10 BAS, 7 RESP, 2 EKG and 4 EMG in the published one, whose code declares these numbers but does not
    hold itself to them), one channel of each kind is taken in turn, in the order of kinds on the model's card, until the number
    is reached, so that no kind crowds out another. A modality without any channel is left out and named.
    """
    chosen: dict[Modality, tuple[StoredChannel, ...]] = {}
    left_out: list[LeftOut] = []
    there = signals.modalities()
    for modality in (m for m in Modality if m in coding.modalities):
        reasons = {channel: _unusable(signals, channel, bad) for channel in there.get(modality, ())}
        left_out += [LeftOut(modality, channel.label, reason) for channel, reason in reasons.items() if reason]
        usable = [channel for channel, reason in reasons.items() if not reason]
        most = coding.modalities[modality].max_channels
        taken = _in_turn(usable, coding.modalities[modality].kinds, most)
        left_out += [
            LeftOut(modality, channel.label, f"the encoder takes {most} {modality} channels")
            for channel in usable
            if channel not in taken
        ]
        if taken:
            chosen[modality] = taken
        else:
            why = "all its channels are left out" if reasons else "the recording has no such channel"
            left_out.append(LeftOut(modality, "", why))
    return chosen, tuple(left_out)


def _unusable(signals: SignalsFile, channel: StoredChannel, bad: Mapping[str, str]) -> str | None:
    if channel.flat:
        return "it is flat"
    if channel.name in bad:
        return bad[channel.name]
    if channel.mean is None:  # not made by us, so nobody has looked
        for start in range(0, channel.n_samples, WINDOW_SAMPLES):
            if not np.isfinite(signals.read(channel, start, start + WINDOW_SAMPLES)).all():
                return "some of its values are not numbers"
    return None


def _in_turn(channels: Sequence[StoredChannel], kinds: Sequence[Kind], most: int) -> tuple[StoredChannel, ...]:
    """Return at most `most` channels, in the given order: the first of every kind, then the second of every kind, …."""

    def rank(position: int) -> tuple[int, int, int]:
        kind = channels[position].kind
        earlier = sum(channel.kind == kind for channel in channels[:position])
        return earlier, kinds.index(kind) if kind in kinds else len(kinds), position

    taken = sorted(range(len(channels)), key=rank)[:most]
    return tuple(channels[position] for position in sorted(taken))

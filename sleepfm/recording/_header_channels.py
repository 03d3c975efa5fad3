"""From what a file's header says of its signals to channels, the same for every format."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from sleepfm.recording._signal_header import SignalHeader
from sleepfm.recording.channels import Placement, place, place_together
from sleepfm.recording.recording import Channel
from sleepfm.recording.units import scale_for

_SIMULATED = re.compile(r"(?<![A-Za-z0-9])SIMULATED(?![A-Za-z0-9])")


def channels_from(signals: Sequence[tuple[int, float, SignalHeader]]) -> tuple[Channel, ...]:
    """Return the channels of signals given as index in the file, rate in Hz and header."""
    placements = place_together(
        [signal.label for _, _, signal in signals],
        [
            place(signal.label, unit=signal.dimension, rate_hz=rate_hz, transducer=signal.transducer)
            for _, rate_hz, signal in signals
        ],
    )
    return tuple(
        _channel(index, signal, rate_hz, placement)
        for (index, rate_hz, signal), placement in zip(signals, placements, strict=True)
    )


def label_problems(labels: Iterable[tuple[int, str]]) -> list[str]:
    """Return a sentence for each label that several signals (index, label) share."""
    by_label: defaultdict[str, list[int]] = defaultdict(list)
    for index, label in labels:
        by_label[label].append(index)
    return [
        f"The label {label!r} is used by channels {', '.join(map(str, indices))}; they are told apart by index."
        for label, indices in by_label.items()
        if len(indices) > 1
    ]


def says_simulated(texts: Iterable[str]) -> bool:
    """Whether one of a header's free texts holds the word that `sleepfm simulate` writes."""
    return any(_SIMULATED.search(text) for text in texts)


def _channel(index: int, signal: SignalHeader, rate_hz: float, placement: Placement) -> Channel:
    unit, factor = scale_for(placement.kind, signal.dimension)
    return Channel(
        index=index,
        label=signal.label,
        rate_hz=rate_hz,
        unit=unit,
        original_unit=signal.written_dimension,
        kind=placement.kind,
        modality=placement.modality,
        reason=placement.reason,
        gain=signal.gain * factor,
        offset=signal.offset * factor,
        digital_min=signal.digital_min,
        digital_max=signal.digital_max,
        transducer=signal.transducer,
        prefilter=signal.prefilter,
        problems=signal.problems,
    )

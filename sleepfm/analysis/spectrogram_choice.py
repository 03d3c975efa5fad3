"""Which spectrogram of a night is shown where there is room for one."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SITES = ("C4", "C3", "F4", "F3", "O2", "O1", "CZ", "FZ", "OZ", "FPZ")
"""Central leads first, which show spindles, slow waves and alpha alike; then the other AASM leads, the right side, which the
manual recommends (rule IV.1), before the left."""


def first_spectrogram(labels: Sequence[str], signals: Sequence[Sequence[str]]) -> str | None:
    """Return the label of the spectrogram to show first, None where there is none.

    Parameters
    ----------
    labels
        The spectrograms there are.
    signals
        What each scoring was made from, the most important scoring first. Staging looked at its EEG, so that one is shown; of
        several the one that a technician would choose.
    """
    used = next((found for names in signals if (found := [label for label in labels if label in names])), list(labels))
    return min(used, key=_rank, default=None)


def _rank(label: str) -> tuple[int, bool]:
    text = re.sub(r"[^A-Z0-9]", "", label.upper())
    site = next((rank for rank, name in enumerate(_SITES) if name in text), len(_SITES))
    return site, not re.search(r"[MA][12]", text)

"""Which electrodes a channel's label names, and whether the channel is one bare lead or already a derivation."""

from __future__ import annotations

from dataclasses import dataclass

from sleepfm.recording._labels import read_label

REFERENCES = ("M1", "M2", "A1", "A2")
_EYES = {"loc": "E1", "leog": "E1", "eogl": "E1", "roc": "E2", "reog": "E2", "eogr": "E2"}
_REFINING = frozenset({"eeg", "eog", "ecg", "emg", "aside", "left", "right", "centre", "number"})


@dataclass(frozen=True)
class Lead:
    """What a label says about where a signal was taken.

    Attributes
    ----------
    electrodes
        Names in the order of the label, "LOC" and the like as E1 and E2: ("C4",), ("C4", "M1").
    muscle
        The word that names a muscle or the heart ("chin", "ecg"), "" when there is none.
    side
        "left", "right", "centre" or "".
    number
        The number behind it, "" when there is none.
    bare
        Whether the label names one electrode, or one end of a muscle, and no reference to it.
    """

    electrodes: tuple[str, ...]
    muscle: str
    side: str
    number: str
    bare: bool


def read_lead(label: str) -> Lead:
    """Read a label as a lead."""
    tokens = read_label(label)
    electrodes = tuple(
        token.text.upper().replace("FP", "Fp").replace("Z", "z") if token.group == "electrode" else _EYES[token.text]
        for token in tokens
        if token.group == "electrode" or token.text in _EYES
    )
    ends = [token for token in tokens if token.group in {"chin", "leg", "arm", "muscle", "ecg"}]
    rest = [
        token
        for token in tokens
        if token not in ends and token.group not in _REFINING and token.group != "electrode" and token.text not in {"ref", *_EYES}
    ]
    numbers = [token.text for token in tokens if token.group == "number"]
    sides = [token.group for token in tokens if token.group in {"left", "right", "centre"}]
    return Lead(
        electrodes=electrodes,
        muscle=ends[0].group if ends and not electrodes else "",
        side=sides[0] if sides else "",
        number=numbers[0] if numbers else "",
        bare=len(electrodes) + (len(ends) if not electrodes else 0) == 1 and not rest and len(numbers) <= 1 and len(sides) <= 1,
    )

"""The encoders that neighbours can be looked up with, as the page offers them."""

from __future__ import annotations

from dataclasses import dataclass

from sleepfm.models.card import SIMULATED, UNKNOWN, Task
from sleepfm.models.shelf import Shelf

_REMARKS = {SIMULATED: " (simulated)", UNKNOWN: " (unknown origin)"}


@dataclass(frozen=True)
class EncoderChoice:
    """One encoder.

    Attributes
    ----------
    name
        On the shelf.
    label
        What a person reads.
    weights_sha256
        What its index goes by.
    simulated
        Whether it was trained on simulated signals.
    """

    name: str
    label: str
    weights_sha256: str
    simulated: bool


def encoder_choices(shelf: Shelf) -> list[EncoderChoice]:
    """Return the encoders on the shelf, those trained on simulated signals last."""
    found = [
        EncoderChoice(
            name=entry.name,
            label=f"{entry.name}{_REMARKS.get(entry.card.trained_on, '')}",
            weights_sha256=entry.card.weights_sha256,
            simulated=entry.card.trained_on == SIMULATED,
        )
        for entry in shelf.entries()
        if entry.card.task is Task.ENCODER
    ]
    return sorted(found, key=lambda one: (one.simulated, one.name))


def first_choice(shelf: Shelf) -> str | None:
    """Return the encoder that is used when nobody names one: never one trained on simulated signals."""
    entry = shelf.pick(Task.ENCODER)
    return None if entry is None else entry.name


def offered_by_name(shelf: Shelf) -> str | None:
    """Return the encoder trained on simulated signals that may be offered, by its name, for a simulated study."""
    return next((one.name for one in encoder_choices(shelf) if one.simulated), None)

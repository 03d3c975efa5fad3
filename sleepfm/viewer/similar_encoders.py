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


def encoder_choices(shelf: Shelf, *, retired: bool = False, named: str | None = None) -> list[EncoderChoice]:
    """Return the encoders on the shelf, those trained on simulated signals last.

    Parameters
    ----------
    retired
        Whether retired ones are among them, and say so: for what they made.
    named
        One that somebody asked for by its name is among them even if it is retired.
    """
    offered = {entry.name for entry in shelf.entries()}
    found = [
        EncoderChoice(
            name=entry.name,
            label=f"{entry.name}{_REMARKS.get(entry.card.trained_on, '')}{'' if entry.name in offered else ' (retired)'}",
            weights_sha256=entry.card.weights_sha256,
            simulated=entry.card.trained_on == SIMULATED,
        )
        for entry in shelf.entries(retired=True)
        if entry.card.task is Task.ENCODER and (retired or entry.name in offered or entry.name == named)
    ]
    return sorted(found, key=lambda one: (one.simulated, one.name))


def first_choice(shelf: Shelf) -> str | None:
    """Return the encoder that is used when nobody names one: never one trained on simulated signals."""
    entry = shelf.pick(Task.ENCODER)
    return None if entry is None else entry.name


def offered_by_name(shelf: Shelf) -> str | None:
    """Return the encoder trained on simulated signals that may be offered, by its name, for a simulated study."""
    return next((one.name for one in encoder_choices(shelf) if one.simulated), None)

"""What a study can be staged with, and its events scored, as the app offers it."""

from __future__ import annotations

from dataclasses import dataclass

from sleepfm.models.card import SIMULATED, UNKNOWN, Task
from sleepfm.models.shelf import Shelf


@dataclass(frozen=True)
class EngineChoice:
    """One way to stage, or to score events.

    Attributes
    ----------
    engine, model
        As `sleepfm.inference.staging.choose` takes them; of events, psgscoring and the breathing model that judges beside it.
    label
        What a person reads.
    simulated
        Whether the model was trained on simulated signals.
    """

    engine: str
    model: str | None
    label: str
    simulated: bool = False


def engine_choices(shelf: Shelf) -> list[EngineChoice]:
    """Return the choices: first the best there is, which is never a simulated model, and those last.

    Each SleepFM model that is offered stands there by its name, the chosen default first, but for baselines and networks that
    stage without an encoder.
    """
    cards = [
        e.card for e in shelf.entries() if e.card.task is Task.STAGING and not e.card.baseline and e.card.encoder is not None
    ]
    remarks = {SIMULATED: " (simulated)", UNKNOWN: " (unknown origin)"}
    chosen = shelf.chosen(Task.STAGING)
    models = [
        EngineChoice("sleepfm", card.name, f"{card.name}{remarks.get(card.trained_on, '')}", card.trained_on == SIMULATED)
        for card in cards
    ]
    return [
        EngineChoice("auto", None, "Best engine"),
        EngineChoice("yasa", None, "YASA"),
        *sorted(models, key=lambda m: (m.simulated, m.model != chosen)),
    ]


def event_choices(shelf: Shelf) -> list[EngineChoice]:
    """Return the choices: first psgscoring, with a breathing model of real recordings where there is one; then others by name."""
    heads = [
        e.card for e in shelf.entries() if e.card.task is Task.BREATHING and not e.card.baseline and e.card.encoder is not None
    ]
    real = shelf.pick(Task.BREATHING)
    real = None if real is None or real.card.encoder is None else real
    usual = "psgscoring" if real is None else f"psgscoring, {real.name}"
    remarks = {SIMULATED: " (simulated)", UNKNOWN: " (unknown origin)"}
    named = [
        EngineChoice(
            "psgscoring", card.name, f"psgscoring, {card.name}{remarks.get(card.trained_on, '')}", card.trained_on == SIMULATED
        )
        for card in heads
        if real is None or card.name != real.name
    ]
    return [EngineChoice("psgscoring", None, usual), *sorted(named, key=lambda one: one.simulated)]

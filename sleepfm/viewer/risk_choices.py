"""What the risk page offers: models, ages, sexes, and the words for stored results."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sleepfm.inference.risk_result import AGE, RiskResult
from sleepfm.models.card import SEXES, SIMULATED, UNKNOWN, ModelCard, Sex, Task
from sleepfm.models.shelf import Shelf
from sleepfm.text import printable


@dataclass(frozen=True)
class ModelChoice:
    """One disease model.

    Attributes
    ----------
    label
        Its name, with what one must know of it.
    """

    name: str
    label: str
    card: ModelCard

    @property
    def simulated(self) -> bool:
        """Whether it was trained on simulated signals."""
        return self.card.trained_on == SIMULATED


_REMARKS = {SIMULATED: " (simulated)", UNKNOWN: " (unknown origin)"}


def model_choices(shelf: Shelf) -> list[ModelChoice]:
    """Return the disease models that look at a night, those trained on simulated signals last; baselines are none of them."""
    cards = [entry.card for entry in shelf.entries() if entry.card.task is Task.DISEASE]
    choices = [
        ModelChoice(card.name, f"{printable(card.name)}{_REMARKS.get(card.trained_on, '')}", card)
        for card in cards
        if not card.baseline and card.encoder is not None
    ]
    return sorted(choices, key=lambda one: one.simulated)


def chosen_at_first(shelf: Shelf, choices: list[ModelChoice], *, simulated_recording: bool) -> ModelChoice | None:
    """Return the model until somebody chooses: one trained on real recordings; a simulated one for a simulated recording only."""
    names = {one.name: one for one in choices}
    picked = shelf.pick(Task.DISEASE)
    if picked is not None and picked.name in names:
        return names[picked.name]
    return next((one for one in choices if one.simulated), None) if simulated_recording else None


def result_words(result: RiskResult, created_at: datetime) -> str:
    """Return a stored result as a choice: "Result of 2026-11-20 17:40 · demo-disease · 54 y, female"."""
    told = []
    if result.age is not None:
        told.append(f"{result.age:g} y")
    if result.sex is not None:
        told.append("sex unknown" if result.sex == "unknown" else result.sex)
    players = " · age and sex as players" if AGE in result.players else ""
    who = f" · {', '.join(told)}" if told else ""
    return f"Result of {created_at.astimezone():%Y-%m-%d %H:%M} · {printable(result.model)}{who}{players}"


def sexes(card: ModelCard) -> list[Sex]:
    """Return what can be told as a person's sex: "unknown" only where the model has a code for it."""
    coding = card.demographics
    known = {} if coding is None or isinstance(coding.sex_code, str) else coding.sex_code
    return [sex for sex in SEXES if sex != "unknown" or sex in known]

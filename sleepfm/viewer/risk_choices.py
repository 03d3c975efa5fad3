"""What the risk page offers: models, ages, sexes, and the words for stored results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sleepfm.errors import SleepFMError
from sleepfm.inference.risk_request import require_demographic_players
from sleepfm.inference.risk_result import AGE, RiskResult
from sleepfm.models.card import SIMULATED, UNKNOWN, ModelCard, Task
from sleepfm.models.reference import read_reference
from sleepfm.models.shelf import Shelf
from sleepfm.runs.table import Job
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
    folder: Path

    @property
    def simulated(self) -> bool:
        """Whether it was trained on simulated signals."""
        return self.card.trained_on == SIMULATED


_REMARKS = {SIMULATED: " (simulated)", UNKNOWN: " (unknown origin)"}


def model_choices(shelf: Shelf) -> list[ModelChoice]:
    """Return the disease models that look at a night, those trained on simulated signals last; baselines are none of them."""
    entries = [entry for entry in shelf.entries() if entry.card.task is Task.DISEASE]
    choices = [
        ModelChoice(one.name, f"{printable(one.name)}{_REMARKS.get(one.card.trained_on, '')}", one.card, one.folder)
        for one in entries
        if not one.card.baseline and one.card.encoder is not None
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


def players_refused(choice: ModelChoice) -> str:
    """Return why age and sex cannot be players of a model's attribution; empty when they can."""
    try:
        reference = read_reference(choice.folder)
        require_demographic_players(choice.card, has_reference=reference is not None and bool(reference.ages_sexes))
    except SleepFMError as error:
        return str(error)
    return ""


def batch_seconds_left(waiting: Sequence[Job], done: Sequence[Job]) -> float | None:
    """Return the time left for jobs of a kind from how long those done last took; None before the first one is done.

    Parameters
    ----------
    waiting, done
        Open jobs, the running one among them; and finished ones of the same kind.
    """
    took = [(one.finished_at - one.started_at).total_seconds() for one in done if one.started_at and one.finished_at]
    return len(waiting) * sum(took) / len(took) if took else None

"""What is asked for before a risk is computed: which model, and whose age and sex. Loads no torch."""

from __future__ import annotations

import math

from sleepfm.errors import RequestError
from sleepfm.models.card import ModelCard, Sex, Task
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.text import printable

YOUNGEST, OLDEST = 1.0, 120.0
"""Ages in years that are believed."""


def choose_risk_model(shelf: Shelf, name: str | None, *, simulated_recording: bool = False) -> ShelfEntry:
    """Return the disease model to use.

    Parameters
    ----------
    name
        On the shelf. None: one trained on real recordings.
    simulated_recording
        Without a name, for such a recording one trained on simulated signals is taken when there is no real one.

    Raises
    ------
    RequestError
        When there is no such model, or it is none for the risk of a night.
    """
    if name is not None:
        entry = shelf.get(name)
    else:
        found = shelf.pick(Task.DISEASE) or (shelf.default(Task.DISEASE) if simulated_recording else None)
        if found is None:
            there = [one.name for one in shelf.entries() if one.card.task is Task.DISEASE and not one.card.baseline]
            named = f"; on the shelf, to be named only: {', '.join(there)}" if there else ""
            raise RequestError(
                f"no disease model known to be trained on real recordings{named}{shelf.retired_words(Task.DISEASE)}; name one"
                " with --model, or `sleepfm models fetch official`"
            )
        entry = found
    card = entry.card
    if card.task is not Task.DISEASE:
        raise RequestError(f"{entry.name} is a model for {card.task}, not for disease")
    if card.signals is not None:
        raise RequestError(
            f"{entry.name} was trained end to end from signals: risk needs a head that takes an encoder's embeddings"
        )
    if card.encoder is None:
        raise RequestError(f"{entry.name} belongs to no encoder: it says nothing of a night")
    return entry


def coding_unknown(card: ModelCard) -> bool:
    """Return whether a head takes age and sex in a form that nobody knows."""
    return card.takes_demographics and (card.demographics is None or not card.demographics.known)


def sexes_of(card: ModelCard) -> tuple[Sex, ...]:
    """Return what can be answered when a person's sex is asked for this head; nothing for one that does not take it."""
    if not card.takes_demographics:
        return ()
    codes = None if card.demographics is None else card.demographics.sex_code
    return ("female", "male") if codes is None or isinstance(codes, str) else tuple(codes)


def require_person(card: ModelCard, age: object, sex: object) -> tuple[float, Sex] | None:
    """Return a person's age in years and sex as they were told, checked; None when the head takes neither.

    Never guessed: what is missing is an error. For a head whose coding of them is unknown they are checked, and kept in the
    result, though nothing can be computed from them.

    Raises
    ------
    RequestError
        One line that says what is wrong with them.
    """
    if not card.takes_demographics:
        return None
    if age is None or sex is None:
        missing = " and ".join(name for name, value in (("age", age), ("sex", sex)) if value is None)
        raise RequestError(f"{card.name} takes age and sex, which are never guessed: say the person's {missing}")
    try:
        years = math.nan if "_" in str(age) else float(age)  # type: ignore[arg-type] # Python reads "6_5" as 65
    except (TypeError, ValueError):
        raise RequestError(f"age {printable(str(age))!r}: give it in years, as a number") from None
    if isinstance(age, bool) or not math.isfinite(years):
        raise RequestError(f"age {printable(str(age))}: give it in years, as a number")
    if not YOUNGEST <= years <= OLDEST:
        raise RequestError(f"age {years:g}: give the age at the recording in years, from {YOUNGEST:g} to {OLDEST:g}")
    possible = sexes_of(card)
    for one in possible:
        if sex == one:
            return years, one
    if sex == "unknown":
        raise RequestError(
            f"sex unknown: {card.name} has no code for it; say female or male (a head that knows one is imported with"
            " --sex-code female=0,male=1,unknown=0.5)"
        )
    raise RequestError(f"sex {printable(str(sex))!r}: say {' or '.join(possible)}")


def require_demographic_players(card: ModelCard, *, has_reference: bool) -> None:
    """Check that age and sex can be players of a head's attribution.

    Raises
    ------
    RequestError
        When the head takes neither, their coding is unknown, or there are no reference people over whom to average.
    """
    if not card.takes_demographics:
        raise RequestError(f"{card.name} takes neither age nor sex: they cannot be given a share of its score")
    if coding_unknown(card):
        raise RequestError(f"nobody knows how {card.name} takes age and sex: they cannot be given a share of its score")
    if not has_reference:
        raise RequestError(
            f"{card.name} has no reference people over whose ages and sexes to average, so age and sex can be given no share of"
            " its score; `sleepfm evaluate disease … --update-card` makes them"
        )

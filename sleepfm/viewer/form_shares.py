"""How large each list is: the fields that ask for it, wherever people are divided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from streamlit.delta_generator import DeltaGenerator

from sleepfm.training.splits import LISTS
from sleepfm.viewer.form_fields import FieldDrawer


def ask_shares(columns: Sequence[DeltaGenerator], key: Callable[[str], str], usual: Mapping[str, float]) -> dict[str, float]:
    """Ask for the share of each list, in percent of the people; the shares are returned as typed, whatever they add up to."""
    return {
        name: column.number_input(
            f"{name.capitalize()} (%)",
            0,
            100,
            round(100 * usual.get(name, 0.0)),
            5,
            key=key(name),
            help="Of the people.",
            persist_state="session",
        )
        / 100
        for column, name in zip(columns, LISTS, strict=False)
    }


def ask_seed(column: DeltaGenerator, key: Callable[[str], str]) -> int:
    """Ask for the seed of the division."""
    seed: int = column.number_input(
        "Seed", 0, 2**31, 0, key=key("seed"), help="The same seed gives the same lists.", persist_state="session"
    )
    return seed


def whole(shares: Mapping[str, float]) -> bool:
    """Tell whether the shares make a whole, and say so when they do not."""
    percent = round(100 * sum(shares.values()))
    if percent != 100:
        FieldDrawer.say(f"The lists' shares add up to {percent} %: make it 100.")
    return percent == 100

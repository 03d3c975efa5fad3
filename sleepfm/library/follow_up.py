"""What became of people after their night: for each study and condition, whether it came, and when, or how long nobody saw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sleepfm.library.library import Library
from sleepfm.progress import Progress, silent
from sleepfm.runs.database import transaction

_ROWS_AT_ONCE = 100_000
"""In one transaction: other processes wait for it."""


def conditions(library: Library) -> list[str]:
    """Return the names of the conditions that anybody has a follow-up of, in alphabetical order."""
    rows = library.connection.execute("SELECT DISTINCT condition FROM outcomes ORDER BY condition")
    return [row["condition"] for row in rows]


def outcomes(library: Library, condition: str) -> dict[str, tuple[bool, float]]:
    """Return the follow-up of a condition by study id.

    Returns
    -------
    dict
        Whether the condition came, and the years from the night to it or to the end of the follow-up (above 0).
    """
    rows = library.connection.execute("SELECT study, event, years FROM outcomes WHERE condition = ? ORDER BY study", (condition,))
    return {row["study"]: (bool(row["event"]), float(row["years"])) for row in rows}


def outcome_table(library: Library, studies: Sequence[str], conditions: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the follow-up of some studies and conditions.

    Returns
    -------
    years_nk, event_nk
        (study, condition) float64 years, NaN where nobody knows; and bool, whether it was an event.
    """
    years_nk = np.full((len(studies), len(conditions)), np.nan)
    event_nk = np.zeros(years_nk.shape, dtype=bool)
    place = {condition: k for k, condition in enumerate(conditions)}
    for n, study in enumerate(studies):
        rows = library.connection.execute("SELECT condition, event, years FROM outcomes WHERE study = ?", (study,))
        for row in rows:
            k = place.get(row["condition"])
            if k is not None:
                years_nk[n, k], event_nk[n, k] = row["years"], bool(row["event"])
    return years_nk, event_nk


def store_outcomes(
    library: Library, outcomes_of: Mapping[str, Mapping[str, tuple[bool, float] | None]], progress: Progress = silent
) -> int:
    """Store follow-up by study and condition, in place of what was stored of the same; None forgets it.

    Returns
    -------
    int
        How many are known now of those given.
    """
    rows = [(study, condition, one) for study, by_condition in outcomes_of.items() for condition, one in by_condition.items()]
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        progress(first / len(rows), "storing the follow-up")
        some = rows[first : first + _ROWS_AT_ONCE]
        with transaction(library.connection):
            library.connection.executemany("DELETE FROM outcomes WHERE study = ? AND condition = ?", [row[:2] for row in some])
            # a study that was removed meanwhile has no follow-up
            library.connection.executemany(
                "INSERT INTO outcomes (study, condition, event, years) SELECT id, ?, ?, ? FROM studies WHERE id = ?",
                [(condition, int(one[0]), one[1], study) for study, condition, one in some if one is not None],
            )
    return sum(one is not None for _, _, one in rows)

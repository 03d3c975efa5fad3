"""Which of a study's scorings are on the screen until somebody chooses."""

from __future__ import annotations

from collections.abc import Sequence

from sleepfm.library.library import StoredScoring
from sleepfm.library.study import OWN_SCORING


def shown_at_first(stored: Sequence[StoredScoring]) -> tuple[StoredScoring, StoredScoring | None]:
    """Return the upper and the lower hypnogram of the scorings, which come in the library's order and are not empty.

    A person's review stands above, also one that was begun from nothing and does not count yet: somebody is at work on it.
    A model that was trained on simulated signals never takes another scoring's place; what it made last stands below it, since
    somebody asked for it by name.
    """
    upper = next((one for one in stored if one.by_person), stored[0])
    newest = max((one for one in stored if one.engine != OWN_SCORING), key=lambda one: one.id, default=upper)
    return upper, newest if newest.simulated_model and newest is not upper else None

"""A second opinion on an epoch: how people staged its nearest neighbours among other people's nights."""

from __future__ import annotations

from dataclasses import dataclass

from sleepfm.home import Home
from sleepfm.vocabulary import Stage


@dataclass(frozen=True)
class Opinion:
    """How the nearest epochs were staged.

    Attributes
    ----------
    counts
        Neighbours by stage, the five scored ones.
    epochs, people
        How many neighbours there are, and of how many people.
    scored_epochs, scored_people
        Among how many they were looked up.
    notes
        What a reader must know, e.g. that the stages are true stages of simulated nights.
    """

    counts: dict[Stage, int]
    epochs: int
    people: int
    scored_epochs: int
    scored_people: int
    notes: tuple[str, ...]


def second_opinion(home: Home, encoder: str, study: str, epoch: int, k: int = 50) -> Opinion:
    """Return how people staged the `k` nearest epochs of other people (BAS, 30-s rows; for the resident process: loads torch).

    Parameters
    ----------
    home
        Where the library is.
    encoder
        Its name on the shelf.
    study, epoch
        Which epoch; the first is 1.
    k
        Neighbours.

    Raises
    ------
    RequestError
        No such epoch, or nobody to compare with.
    """
    raise NotImplementedError

"""Where else a clip of one modality looks like this, seen from another modality: neighbours across the library."""

from __future__ import annotations

from dataclasses import dataclass

from sleepfm.home import Home
from sleepfm.library.facts import Person
from sleepfm.vocabulary import Modality


@dataclass(frozen=True)
class Clip:
    """Five minutes of a study: the window of the model that `start_s` lies in.

    Attributes
    ----------
    study
        Its id.
    start_s
        Seconds from the recording's start.
    """

    study: str
    start_s: float


@dataclass(frozen=True)
class NeighbourQuery:
    """What is looked for.

    Attributes
    ----------
    encoder
        An encoder's name on the shelf.
    clips
        What the query looks like; of several the mean of their unit vectors, renormalised.
    modality
        The modality of the query.
    target
        The modality of the neighbours.
    top
        How many.
    same_subject
        Whether other nights of the query's subjects, and the same night, are searched too.
    """

    encoder: str
    clips: tuple[Clip, ...]
    modality: Modality
    target: Modality
    top: int = 8
    same_subject: bool = False


@dataclass(frozen=True)
class Neighbour:
    """One clip of the answer.

    Attributes
    ----------
    start_s
        Its first second, from the recording's start; it is 300 s long.
    similarity
        Cosine between the query's embedding and the clip's, -1 to 1.
    """

    study: str
    start_s: float
    similarity: float
    person: Person


@dataclass(frozen=True)
class NeighbourAnswer:
    """The nearest clips, best first.

    Attributes
    ----------
    true_partner_rank
        Rank of the query clip's own window of the target modality among all candidates and itself, 1 is best: one more than the
        number of candidates that are more similar. None for several clips, or when that window cannot be used.
    candidates
        How many clips were compared.
    seconds
        How long the answer took.
    notes
        What a reader must know: people nobody named, an encoder trained on simulated signals.
    """

    query: NeighbourQuery
    neighbours: tuple[Neighbour, ...]
    true_partner_rank: int | None
    candidates: int
    seconds: float
    notes: tuple[str, ...]


def find_neighbours(home: Home, query: NeighbourQuery) -> NeighbourAnswer:
    """Return the clips of the target modality that are nearest to the query (loads torch).

    Windows of the same night that begin within 10 min of a query clip are never among them, and no window of the same subject
    unless `same_subject`.

    Raises
    ------
    RequestError
        An unknown encoder, a study that is not in its index, a time outside the night or in a gap, a modality that the study
        lacks, or nothing to compare with.
    """
    raise NotImplementedError

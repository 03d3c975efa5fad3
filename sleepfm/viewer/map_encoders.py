"""The encoders that have an index, so that there is something to make a map of."""

from __future__ import annotations

from dataclasses import dataclass

from sleepfm.library.embedding_index import Grain
from sleepfm.library.library import Library
from sleepfm.models.shelf import Shelf
from sleepfm.viewer.similar_encoders import encoder_choices


@dataclass(frozen=True)
class MapEncoder:
    """An encoder with an index; `name` is None for one that is not on the shelf any more."""

    weights_sha256: str
    name: str | None
    label: str
    studies: int
    simulated: bool


def map_encoders(library: Library) -> list[MapEncoder]:
    """Return the encoders with an index: those on the shelf first, real ones before simulated ones, the fullest index first.

    What a retired encoder made stays to be looked at; its label says that it is retired.
    """
    known = {one.weights_sha256: one for one in encoder_choices(Shelf(library.home.models), retired=True)}
    found = []
    for row in library.connection.execute(
        "SELECT encoder, COUNT(*) AS studies FROM index_blocks WHERE grain = ? GROUP BY encoder", (Grain.WINDOW,)
    ):
        choice = known.get(row["encoder"])
        found.append(
            MapEncoder(
                weights_sha256=row["encoder"],
                name=None if choice is None else choice.name,
                label=f"{row['encoder'][:12]}… (not on the shelf)" if choice is None else choice.label,
                studies=row["studies"],
                simulated=choice is not None and choice.simulated,
            )
        )
    return sorted(found, key=lambda one: (one.name is None, one.simulated, -one.studies, one.label))

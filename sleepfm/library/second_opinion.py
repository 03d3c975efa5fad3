"""A second opinion on an epoch: how people staged its nearest neighbours among other people's nights."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass

import numpy as np

from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.inference.index_rows import epoch_rows
from sleepfm.inference.simulated_models import simulated_warning
from sleepfm.library.comparable import comparable_studies, unnamed_note
from sleepfm.library.embedding_index import EmbeddingIndex, Grain
from sleepfm.library.encoder_choice import choose_encoder
from sleepfm.library.facts import person
from sleepfm.library.library import Library
from sleepfm.library.present_embeddings import present_embeddings
from sleepfm.library.stored_scorings import BY_PEOPLE, first_places, stages_at
from sleepfm.library.study import OWN_SCORING, Study
from sleepfm.models.card import SIMULATED
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.vocabulary import SCORED_STAGES, TOKEN_S, Modality, Stage

NEIGHBOURS = 50
_MODALITY = Modality.BAS


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


@dataclass(frozen=True, eq=False)
class _Scored:
    """Who or what staged a night, and the (epoch,) stages."""

    engine: str
    stages_e: np.ndarray


def second_opinion(home: Home, encoder: str, study: str, epoch: int, k: int = NEIGHBOURS) -> Opinion:
    """Return how people staged the `k` nearest epochs of other people (BAS, 30-s rows; for the resident process: loads torch).

    A real night is compared with real nights only, a simulated one with simulated ones. Epochs that were left Unknown are no
    neighbours.

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
        No such encoder, study or epoch, the epoch cannot be embedded, or nobody to compare with.
    """
    entry = choose_encoder(Shelf(home.models), encoder)
    if k < 1:
        raise RequestError("a second opinion needs one neighbour at least")
    with Library(home) as library:
        known = library.study(study)
        index = EmbeddingIndex(library, entry.card.weights_sha256, Grain.EPOCH)
        query_e = _query(library, index, entry, known, epoch)
        subject_of = comparable_studies(library, known)
        without = {block.study for block in index.blocks()} - subject_of.keys()
        scored: dict[str, _Scored] = {}
        while True:  # which epochs people left Unknown is read only of the nights that are found
            unknown = {name: _unknown(one.stages_e) for name, one in scored.items()}
            found = index.nearest(query_e, _MODALITY, k, without=without, without_rows=unknown)
            new = {hit.study for hit in found.hits} - scored.keys()
            if not new:
                break
            for name in new:
                by_people = _by_people(library, name)
                if by_people is None:
                    without.add(name)
                else:
                    scored[name] = by_people
        nights = {block.study for block in index.blocks()} - without
        named = person(library, study).known_subject
    if not found.hits:
        raise RequestError(f"no night of another person that somebody staged is indexed for {entry.name}: index more studies")
    counted = Counter(int(scored[hit.study].stages_e[hit.row]) for hit in found.hits)
    true_stages = known.simulated and all(scored[hit.study].engine == OWN_SCORING for hit in found.hits)
    notes = (
        "These are the true stages of simulated nights." if true_stages else "",
        simulated_warning(entry.name, simulated_recording=known.simulated) if entry.card.trained_on == SIMULATED else "",
        "" if named else unnamed_note(study),
    )
    return Opinion(
        counts={stage: counted[stage] for stage in SCORED_STAGES},
        epochs=len(found.hits),
        people=len({subject_of[hit.study] for hit in found.hits}),
        scored_epochs=found.candidates,
        scored_people=len({subject_of[name] for name in nights}),
        notes=tuple(note for note in notes if note),
    )


def _query(library: Library, index: EmbeddingIndex, encoder: ShelfEntry, study: Study, epoch: int) -> np.ndarray:
    """Return (E,) the epoch's vector, from the index where the night is staged, else from its embeddings."""
    if index.block(study.id) is not None:
        rows_ne = index.rows(study.id, _MODALITY)
    elif EmbeddingIndex(library, encoder.card.weights_sha256).block(study.id) is not None:
        embeddings = present_embeddings(library, study.id, encoder.card.weights_sha256, TOKEN_S)
        if embeddings is None:
            raise RequestError(
                f"{study.id} has no embeddings of its present file and channels: `sleepfm index {study.id}` makes them anew"
            )
        if _MODALITY not in embeddings.rows:
            raise RequestError(f"{study.id} has no {_MODALITY} signal that can be used")
        rows_ne = epoch_rows(embeddings)[_MODALITY]
    else:
        raise RequestError(
            f"{study.id} is not indexed for {encoder.name}, or has changed since: index it first (`sleepfm index`)"
        )
    if not 1 <= epoch <= len(rows_ne):
        raise RequestError(f"{study.id}: there is no whole epoch {epoch}; it has {len(rows_ne)}")
    vector_e: np.ndarray = rows_ne[epoch - 1]
    if not np.isfinite(vector_e).all():
        raise RequestError(f"{study.id}: epoch {epoch} touches a gap or has no usable {_MODALITY} signal")
    return vector_e


def _by_people(library: Library, study: str) -> _Scored | None:
    """Return the scoring by a person that counts, else the one that came with the recording; None when there is none."""
    place = first_places(library, f"r.study = ? AND {BY_PEOPLE}", (study,)).get(study)
    return None if place is None else _Scored(place.engine, stages_at(library, place))


def _unknown(stages_e: np.ndarray) -> list[range]:
    """Return the stretches of epochs without a stage, and everything behind the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], stages_e == Stage.UNKNOWN, [False]]).astype(int)))
    stretches = [range(start, stop) for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)]
    return [*stretches, range(len(stages_e), sys.maxsize)]

"""Where else a clip of one modality looks like this, seen from another modality: neighbours across the library."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sleepfm.errors import ModelError, RequestError
from sleepfm.home import Home
from sleepfm.inference.embedding_files import Embeddings, read_embeddings
from sleepfm.inference.index_rows import unit_rows, window_rows
from sleepfm.inference.night import Night, open_night
from sleepfm.inference.simulated_models import simulated_warning
from sleepfm.library import facts
from sleepfm.library.embedding_index import EmbeddingIndex
from sleepfm.library.encoder_choice import choose_encoder, require_named
from sleepfm.library.facts import Person
from sleepfm.library.library import Library
from sleepfm.models.card import SIMULATED
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress
from sleepfm.vocabulary import WINDOW_S, Modality

_NEAR_S = 600.0
"""Windows of the same night that begin within this time of a query clip's are no neighbours: they overlap it in what happens."""


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
        The modality of the neighbours; it may be the query's own.
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
        number of candidates that are more similar. None for several clips, for a target that is the query's own modality, or when
        that window cannot be used.
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

    Windows of the same night that begin within 10 min of a query clip's are never among them, and no window of the same subject
    unless `same_subject`. A real night has real neighbours, a simulated one simulated ones.

    Raises
    ------
    RequestError
        An unknown encoder, a study that is not in its index, a time outside the night or in a gap, a modality that the study
        lacks, or nothing to compare with.
    """
    started = time.perf_counter()
    encoder = choose_encoder(Shelf(home.models), query.encoder)
    with Library(home) as library:
        index = EmbeddingIndex(library, encoder.card.weights_sha256)
        nights = {clip.study: _indexed_night(library, index, encoder, clip.study) for clip in query.clips}
        return _answer(library, index, encoder, query, nights=nights, started=started)


def neighbours_of_file(home: Home, file: Path, query: NeighbourQuery, *, named: bool, progress: Progress) -> NeighbourAnswer:
    """Return the neighbours of a clip of a recording, or signals file, that is not in the library (loads torch).

    What is made of it is deleted again. Studies of the library that are the same file count as the same night. Otherwise as
    `find_neighbours`.

    Parameters
    ----------
    query
        Its clips' study is what the recording is called in messages.
    named
        Whether a person named the encoder: one that was trained on simulated signals is not used otherwise on a real recording.

    Raises
    ------
    RequestError
        As `find_neighbours`, or the encoder may not be used.
    RecordingError
        The recording cannot be read, or no channel of it can be used.
    """
    encoder = choose_encoder(Shelf(home.models), query.encoder)
    with Library(home) as library:
        _require_studies(EmbeddingIndex(library, encoder.card.weights_sha256), encoder)
    with open_night(file) as night:
        require_named(encoder, named=named, simulated_recording=_simulated(night), study=str(file))
        night.embeddings(encoder, progress=progress)
        embeddings = read_embeddings(night.embedding_files(encoder)[1])
    return neighbours_of_embeddings(home, embeddings, query)


def neighbours_of_embeddings(home: Home, embeddings: Embeddings, query: NeighbourQuery) -> NeighbourAnswer:
    """Return the neighbours of a clip of a recording that is not in the library, given its embeddings per 5 min (loads torch).

    Raises
    ------
    ModelError
        The embeddings are of another encoder.
    """
    started = time.perf_counter()
    encoder = choose_encoder(Shelf(home.models), query.encoder)
    origin = embeddings.origin
    if origin.weights_sha256 != encoder.card.weights_sha256:
        raise ModelError(f"{origin.record_id}: its embeddings are not of {encoder.name} and are never compared with its index")
    with Library(home) as library:
        night = _QueryNight(
            _same_file(library, origin.source_sha256), origin.duration_s, origin.simulated, window_rows(embeddings)
        )
        nights = {clip.study: night for clip in query.clips}
        index = EmbeddingIndex(library, encoder.card.weights_sha256)
        return _answer(library, index, encoder, query, nights=nights, started=started)


@dataclass(frozen=True, eq=False)
class _QueryNight:
    """The night that a query clip is taken from: the studies it is, and its (window, E) unit vectors by modality."""

    studies: frozenset[str]
    duration_s: float
    simulated: bool
    rows: Mapping[Modality, np.ndarray]

    def vector(self, clip: Clip, modality: Modality) -> np.ndarray:
        """Return (E,) the unit vector of a clip; RequestError, saying why, when there is none."""
        if not 0 <= clip.start_s < self.duration_s:
            raise RequestError(f"{clip.study}: {clip.start_s:g} s is outside the night, which is {self.duration_s:.0f} s long")
        there = [one for one, rows_ne in self.rows.items() if np.isfinite(rows_ne).any()]
        if modality not in there:
            raise RequestError(
                f"{clip.study} has no {modality} signal that can be used (there: {', '.join(there)}); choose another modality"
            )
        vector_e = self.usable(clip, modality)
        if vector_e is None:
            raise RequestError(
                f"{clip.study}: the 5 min from {_window(clip) * WINDOW_S:.0f} s are not whole, touch a gap or have no usable"
                f" {modality} signal; choose another time"
            )
        return vector_e

    def usable(self, clip: Clip, modality: Modality) -> np.ndarray | None:
        """Return (E,) the unit vector of a clip, None when there is none."""
        rows_ne = self.rows.get(modality)
        if rows_ne is None or _window(clip) >= len(rows_ne):
            return None
        vector_e: np.ndarray = rows_ne[_window(clip)]
        return vector_e if np.isfinite(vector_e).all() else None


def _simulated(night: Night) -> bool:
    if night.recording is not None:
        return night.recording.simulated
    with night.signals() as signals:
        return signals.simulated


def _window(clip: Clip) -> int:
    return int(clip.start_s // WINDOW_S)


def _require_studies(index: EmbeddingIndex, encoder: ShelfEntry) -> None:
    if not index.blocks():
        raise RequestError(f"no study is indexed for {encoder.name} yet: run `sleepfm index --model {encoder.name}` first")


def _indexed_night(library: Library, index: EmbeddingIndex, encoder: ShelfEntry, study: str) -> _QueryNight:
    known, block = library.study(study), index.block(study)
    if block is None:
        _require_studies(index, encoder)
        raise RequestError(f"{study} is not indexed for {encoder.name}, or has changed since: index it first (`sleepfm index`)")
    rows = {modality: index.rows(study, modality) for modality in block.modalities}
    return _QueryNight(_same_file(library, known.sha256) | {study}, known.duration_s, known.simulated, rows)


def _same_file(library: Library, sha256: str | None) -> frozenset[str]:
    """Return the studies that are this file, perhaps under several names."""
    return frozenset(row["id"] for row in library.connection.execute("SELECT id FROM studies WHERE sha256 = ?", (sha256,)))


def _answer(
    library: Library,
    index: EmbeddingIndex,
    encoder: ShelfEntry,
    query: NeighbourQuery,
    *,
    nights: Mapping[str, _QueryNight],
    started: float,
) -> NeighbourAnswer:
    if not query.clips or query.top < 1:
        raise RequestError("a query needs a clip, and at least one neighbour to look for")
    vectors_ce = np.stack([nights[clip.study].vector(clip, query.modality) for clip in query.clips])
    query_e = unit_rows(vectors_ce.mean(axis=0, keepdims=True))[0]
    first = query.clips[0]
    has_partner = len(query.clips) == 1 and query.modality is not query.target
    partner_e = nights[first.study].usable(first, query.target) if has_partner else None
    asked = frozenset().union(*(night.studies for night in nights.values()))
    without = set() if query.same_subject else _same_subject(library, asked)
    kinds = {night.simulated for night in nights.values()}
    if len(kinds) == 1:  # nobody slept a simulated night: it is no neighbour of a real one
        others = library.connection.execute("SELECT id FROM studies WHERE simulated <> ?", (int(kinds.pop()),))
        without |= {row["id"] for row in others}
    near: dict[str, list[range]] = {}
    reach = int(_NEAR_S // WINDOW_S)
    for clip in query.clips:
        for study in nights[clip.study].studies:
            near.setdefault(study, []).append(range(_window(clip) - reach, _window(clip) + reach + 1))
    found = index.nearest(query_e, query.target, query.top, without=without, without_rows=near, ranked_e=partner_e)
    if not found.candidates:
        _require_studies(index, encoder)
        raise RequestError(_nothing(index, query, without))
    people = facts.people(library, {hit.study for hit in found.hits} | asked)
    return NeighbourAnswer(
        query=query,
        neighbours=tuple(Neighbour(hit.study, hit.row * WINDOW_S, hit.similarity, people[hit.study]) for hit in found.hits),
        true_partner_rank=None if found.better is None else found.better + 1,
        candidates=found.candidates,
        seconds=time.perf_counter() - started,
        notes=_notes(encoder, query, nights, people),
    )


def _same_subject(library: Library, studies: Collection[str]) -> set[str]:
    """Return the studies and every other one of the same people, as far as somebody stated who they are."""
    same = library.connection.execute(
        "SELECT study FROM facts WHERE name = ? AND value IN"
        " (SELECT value FROM facts WHERE name = ? AND study IN (SELECT value FROM json_each(?)))",
        (facts.SUBJECT, facts.SUBJECT, json.dumps(sorted(studies))),
    )
    return {row["study"] for row in same} | set(studies)


def _nothing(index: EmbeddingIndex, query: NeighbourQuery, without: set[str]) -> str:
    others = [block for block in index.blocks() if block.study not in without]
    if not others:
        return (
            "no night of another person is indexed (real nights are compared with real ones only, simulated with simulated), so"
            " there is nothing to compare with: index more studies"
        )
    if not any(query.target in block.modalities for block in others):
        return f"no other night in the index has a usable {query.target} signal: choose another target modality"
    return f"no five minutes of {query.target} are left to compare with: index more studies"


def _notes(
    encoder: ShelfEntry, query: NeighbourQuery, nights: Mapping[str, _QueryNight], people: Mapping[str, Person]
) -> tuple[str, ...]:
    notes = []
    if encoder.card.trained_on == SIMULATED:
        notes.append(simulated_warning(encoder.name, simulated_recording=all(night.simulated for night in nights.values())))
    named = {study for study, person in people.items() if person.known_subject}
    unnamed = sorted({clip.study for clip in query.clips if not nights[clip.study].studies & named})
    if unnamed and not query.same_subject:
        notes.append(
            f"Nobody stated who was recorded in {', '.join(unnamed)}: other nights of the same person cannot be left out."
        )
    return tuple(notes)

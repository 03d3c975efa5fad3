"""Making a map from the index of one encoder, and placing on a map the studies that came after it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from sleepfm.analysis.neighbour_purity import nearest_others, neighbours_of
from sleepfm.analysis.projection import Projection, fit, unit
from sleepfm.errors import RequestError
from sleepfm.library import facts
from sleepfm.library.embedding_index import EmbeddingIndex
from sleepfm.library.library import Library
from sleepfm.library.map_stages import shares, stage_counts
from sleepfm.library.maps import MOST_ROWS, MapGrain, MapSpec, StoredMap, indexed, read_projection, standing, write_map
from sleepfm.library.stored_scorings import first_places
from sleepfm.progress import Progress, part, silent
from sleepfm.vocabulary import Modality

MOST_QUERIES = 3000
"""Rows whose neighbours are looked up for the purity, drawn with the map's seed."""


@dataclass(frozen=True, eq=False)
class _Rows:
    """The usable rows of an index: what `StoredMap` says of them, and (row, E) unit vectors `x_ne`."""

    studies: tuple[str, ...]
    empty_studies: tuple[tuple[str, str], ...]
    study_n: np.ndarray
    window_n: np.ndarray
    windows_n: np.ndarray
    stage_n5: np.ndarray
    scorings: tuple[int, ...]
    x_ne: np.ndarray
    left_out: int
    thinned: int


@dataclass(frozen=True, eq=False)
class _Places:
    """Where rows lie on a projection, and which of them were placed there, not fitted."""

    projection: Projection
    places_n2: np.ndarray
    placed_n: np.ndarray


def make(library: Library, spec: MapSpec, progress: Progress = silent) -> StoredMap:
    """Fit a map, place on it what was not fitted, and store it.

    Raises
    ------
    RequestError
        When the index holds too few usable rows.
    """
    rows = _gather(library, spec, part(progress, 0.0, 0.3))
    rng = np.random.default_rng(spec.seed)
    fitted_f = np.sort(rng.choice(len(rows.x_ne), spec.sample, replace=False)) if len(rows.x_ne) > spec.sample else None
    fitted_fe = rows.x_ne if fitted_f is None else rows.x_ne[fitted_f]
    projection = fit(fitted_fe, spec.method, seed=spec.seed, progress=part(progress, 0.3, 0.7))
    placed_n = np.zeros(len(rows.x_ne), bool)
    places_n2 = projection.places_f2
    if fitted_f is not None:
        placed_n[:] = True
        placed_n[fitted_f] = False
        places_n2 = np.empty((len(rows.x_ne), 2), np.float32)
        places_n2[fitted_f] = projection.places_f2
        places_n2[placed_n] = projection.place(rows.x_ne[placed_n], part(progress, 0.7, 0.85))
    return _store(library, spec, rows, _Places(projection, places_n2, placed_n), part(progress, 0.85, 1.0))


def place_new(library: Library, before: StoredMap, progress: Progress = silent) -> StoredMap:
    """Place the studies that came since on a map, take those off that are gone, and store it; nothing on it moves.

    Raises
    ------
    RequestError
        When the index holds no usable row any more.
    """
    if standing(library, before).current:
        return before
    spec = before.spec
    rows = _gather(library, spec, part(progress, 0.0, 0.4))
    keys = indexed(library, spec)
    same = {study for study, key in zip(before.studies, before.blocks, strict=False) if keys.get(study) == key}
    number_of = {study: number for number, study in enumerate(before.studies) if study in same}
    old_s = np.array([number_of.get(study, -1) for study in rows.studies], np.int64)[rows.study_n]
    had_n = (before.study_n.astype(np.int64) << 32) + before.window_n
    wanted_n = (old_s << 32) + rows.window_n
    order_n = np.argsort(had_n)
    at_n = order_n[np.minimum(np.searchsorted(had_n, wanted_n, sorter=order_n), before.n - 1)]
    kept_n = (old_s >= 0) & (had_n[at_n] == wanted_n)
    projection = read_projection(library.home, spec.identifier)
    places_n2 = np.empty((len(rows.x_ne), 2), np.float32)
    places_n2[kept_n] = np.stack([before.x_n, before.y_n], axis=1)[at_n[kept_n]]
    places_n2[~kept_n] = projection.place(rows.x_ne[~kept_n], part(progress, 0.4, 0.8))
    placed_n = before.placed_n[at_n] | ~kept_n
    return _store(library, spec, rows, _Places(projection, places_n2, placed_n), part(progress, 0.8, 1.0))


def _store(library: Library, spec: MapSpec, rows: _Rows, places: _Places, progress: Progress) -> StoredMap:
    people = facts.people(library, rows.studies)
    subjects = tuple(people[study].subject for study in rows.studies)
    query_q = _queries(len(rows.x_ne), spec.seed)
    keys = indexed(library, spec)
    stored = StoredMap(
        spec=spec,
        studies=rows.studies,
        blocks=tuple(keys[study] for study in (*rows.studies, *(study for study, _ in rows.empty_studies))),
        subjects=subjects,
        scorings=rows.scorings,
        study_n=rows.study_n,
        window_n=rows.window_n,
        windows_n=rows.windows_n,
        x_n=np.ascontiguousarray(places.places_n2[:, 0]),
        y_n=np.ascontiguousarray(places.places_n2[:, 1]),
        placed_n=places.placed_n,
        stage_n5=rows.stage_n5,
        query_q=query_q,
        neighbour_qk=nearest_others(
            rows.x_ne, numbered(subjects)[rows.study_n], query_q, k=neighbours_of(len(rows.x_ne)), progress=progress
        ),
        explained=places.projection.explained,
        left_out=rows.left_out,
        thinned=rows.thinned,
        empty_studies=rows.empty_studies,
        created_at=datetime.now(UTC),
    )
    write_map(library.home, stored, places.projection)
    return stored


def _queries(n: int, seed: int) -> np.ndarray:
    if n <= MOST_QUERIES:
        return np.arange(n)
    return np.sort(np.random.default_rng([seed, 1]).choice(n, MOST_QUERIES, replace=False))


def numbered(labels: Sequence[str]) -> np.ndarray:
    """Return a number for each label, equal for equal ones, in alphabetical order."""
    return np.unique(np.asarray(labels), return_inverse=True)[1].astype(np.int32)


def _gather(library: Library, spec: MapSpec, progress: Progress) -> _Rows:
    """Read the usable rows of every study in the index."""
    index = EmbeddingIndex(library, spec.encoder)
    blocks = index.blocks()
    if not blocks:
        raise RequestError("the index of this encoder holds no study yet; build it, then make the map")
    total = sum(block.rows for block in blocks)
    kept_share = min(1.0, MOST_ROWS / total) if spec.grain is MapGrain.WINDOW else 1.0
    studies: list[str] = []
    empty: list[tuple[str, str]] = []
    parts: list[tuple[np.ndarray, ...]] = []
    scorings = first_places(library)
    used: list[int] = []
    left_out = thinned = 0
    for number, block in enumerate(blocks):
        progress(number / len(blocks), f"reading {number:,} of {len(blocks):,} studies")
        wanted = block.modalities if spec.modality is None else tuple(m for m in block.modalities if m == spec.modality)
        x_we = _mean_of(index, block.study, wanted, block.rows)
        usable_w = np.flatnonzero(np.isfinite(x_we).all(axis=1)) if x_we.size else np.empty(0, np.int64)
        left_out += block.rows - len(usable_w)
        if not len(usable_w):
            lacking = "no window of it can be used" if wanted else f"{spec.modality} was not recorded"
            empty.append((block.study, lacking))
            continue
        if kept_share < 1.0:
            rng = np.random.default_rng([spec.seed, zlib.crc32(block.study.encode())])
            chosen_w = usable_w[rng.random(len(usable_w)) < kept_share]
            thinned += len(usable_w) - len(chosen_w)
            usable_w = chosen_w
        x_ne = unit(x_we[usable_w])
        scoring = scorings.get(block.study)
        counts_w5 = stage_counts(library, scoring, block.rows)
        if spec.grain is MapGrain.NIGHT:
            one_n = np.ones(1, np.int32)
            parts.append((unit(x_ne.mean(axis=0, keepdims=True)), 0 * one_n, len(usable_w) * one_n, counts_w5.sum(axis=0)[None]))
        else:
            parts.append((x_ne, usable_w.astype(np.int32), np.ones(len(usable_w), np.int32), counts_w5[usable_w]))
        studies.append(block.study)
        used.append(0 if scoring is None else scoring.mark)
    if not studies:
        raise RequestError(f"none of the {len(blocks)} studies in the index has a usable window" + _of(spec.modality))
    x_ne, window_n, windows_n, counts_n5 = (np.concatenate(column) for column in zip(*parts, strict=True))
    study_n = np.repeat(np.arange(len(studies), dtype=np.int32), [len(one[0]) for one in parts])
    return _Rows(
        studies=tuple(studies),
        empty_studies=tuple(empty),
        study_n=study_n,
        window_n=window_n,
        windows_n=windows_n,
        stage_n5=shares(counts_n5),
        scorings=tuple(used),
        x_ne=x_ne,
        left_out=left_out,
        thinned=thinned,
    )


def _of(modality: Modality | None) -> str:
    return "" if modality is None else f" of {modality}"


def _mean_of(index: EmbeddingIndex, study: str, modalities: Sequence[Modality], rows: int) -> np.ndarray:
    """Return (window, E) means over the modalities that a window has; NaN where it has none."""
    if not modalities:
        return np.empty((rows, 0), np.float32)
    x_mwe = np.stack([index.rows(study, modality) for modality in modalities])
    there_mw = np.isfinite(x_mwe).all(axis=2)
    sum_we = np.where(there_mw[:, :, None], x_mwe, 0.0).sum(axis=0)
    count_w = there_mw.sum(axis=0)
    return np.where(count_w[:, None] > 0, sum_we / np.maximum(count_w, 1)[:, None], np.nan).astype(np.float32)

"""Maps of the library's embeddings: what one is made of, and the file it is kept in.

One file a specification, under `Home.maps`. It holds the places of all rows, the fitted projection (so that studies which come
later are placed on the same map), and for a sample of rows their nearest neighbours of other people in embedding space, which
the purity beside the map is computed from. All rows come from one encoder's index, so embeddings of different weights never meet.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sleepfm.analysis.projection import Method, Projection
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.files import atomic_path
from sleepfm.home import Home
from sleepfm.library import facts
from sleepfm.library.embedding_index import EmbeddingIndex, Grain
from sleepfm.library.library import Library
from sleepfm.library.stored_scorings import first_places
from sleepfm.vocabulary import WINDOW_S, Modality

FORMAT = 1
"""Raised when what the file holds, or how it is computed, changes: older maps are then made anew."""
MOST_ROWS = 1_000_000
"""Windows on one map; of a larger library a seeded sample is shown, and the map says so."""


class MapGrain(StrEnum):
    """What one point is."""

    NIGHT = "night"
    WINDOW = "window"


class MapSpec(BaseModel):
    """What a map shows.

    Attributes
    ----------
    encoder
        Hash of the encoder's weights.
    grain
        A point a night (the mean of its windows' unit vectors) or a point a 5-min window.
    modality
        Of which modality; None for the mean over those that a window has.
    method, seed
        How the plane is found.
    sample
        The map is fitted on at most this many rows, drawn with the seed; the others are placed on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    grain: MapGrain = MapGrain.NIGHT
    modality: Modality | None = None
    method: Method = Method.PCA
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    sample: Annotated[int, Field(ge=16, le=100_000)] = 20_000

    @property
    def identifier(self) -> str:
        """16 hexadecimal digits, the name of the map's file."""
        return hashlib.sha256(f"map {FORMAT} {self.model_dump_json()}".encode()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class StoredMap:
    """A map as it was made.

    Attributes
    ----------
    spec
        What it shows.
    studies
        The studies on it, in the order of their rows.
    blocks
        For each of them, then for each of `empty_studies`, what its rows were made from (see `indexed`).
    subjects
        For each of them who it was taken to be of when the neighbours were looked up.
    scorings
        For each of them the mark of the scoring that its stages come from (`ScoringPlace.mark`); 0 without one.
    study_n
        (row,) number of the study of each row; the rows of a study stand together.
    window_n
        (row,) number of the 5-min window in its night, from 0; 0 for a night.
    windows_n
        (row,) how many windows a row is the mean of.
    x_n, y_n
        (row,) float32 places.
    placed_n
        (row,) whether a row was placed on the map, not fitted.
    stage_n5
        (row, 5) float16 share of its scored epochs by stage, in the order of `SCORED_STAGES`; NaN where none was scored.
    query_q
        (query,) rows whose neighbours were looked up.
    neighbour_qk
        (query, k) their nearest rows of other people, nearest first; -1 where there are no more.
    explained
        Share of the variance along x and y; empty where the axes have no meaning.
    left_out
        Rows of the index that cannot be used (gaps, an unfinished last window, the modality not recorded).
    thinned
        Usable rows that are not shown because there are more than `MOST_ROWS`.
    empty_studies
        Studies of which no row can be used.
    """

    spec: MapSpec
    studies: tuple[str, ...]
    blocks: tuple[str, ...]
    subjects: tuple[str, ...]
    scorings: tuple[int, ...]
    study_n: np.ndarray
    window_n: np.ndarray
    windows_n: np.ndarray
    x_n: np.ndarray
    y_n: np.ndarray
    placed_n: np.ndarray
    stage_n5: np.ndarray
    query_q: np.ndarray
    neighbour_qk: np.ndarray
    explained: tuple[float, ...]
    left_out: int
    thinned: int
    empty_studies: tuple[tuple[str, str], ...]
    created_at: datetime

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.x_n)

    @property
    def first_s(self) -> np.ndarray:
        """(study + 1,) first row of each study, and the end."""
        return np.searchsorted(self.study_n, np.arange(len(self.studies) + 1))

    def start_s(self, row: int) -> float:
        """Return the second of the night that a row begins at."""
        return float(self.window_n[row]) * WINDOW_S


_ARRAYS = ("study_n", "window_n", "windows_n", "x_n", "y_n", "placed_n", "stage_n5", "query_q", "neighbour_qk")


def map_file(home: Home, identifier: str) -> Path:
    """Return where a map is kept."""
    return home.maps / f"{identifier}.npz"


def write_map(home: Home, stored: StoredMap, projection: Projection) -> Path:
    """Write a map and the projection it was fitted by, whole or not at all."""
    words = {
        "format": FORMAT,
        "spec": stored.spec.model_dump(mode="json"),
        "studies": stored.studies,
        "blocks": stored.blocks,
        "subjects": stored.subjects,
        "scorings": stored.scorings,
        "explained": stored.explained,
        "left_out": stored.left_out,
        "thinned": stored.thinned,
        "empty_studies": stored.empty_studies,
        "created_at": stored.created_at.isoformat(),
    }
    path = map_file(home, stored.spec.identifier)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            words=np.frombuffer(json.dumps(words).encode(), np.uint8),
            basis_be=projection.basis_be,
            places_f2=projection.places_f2,
            allow_pickle=False,
            **{name: getattr(stored, name) for name in _ARRAYS},
        )
    return path


def read_map(home: Home, identifier: str) -> StoredMap | None:
    """Return a map by its specification's identifier, None when it was not made yet.

    Raises
    ------
    SleepFMError
        When its file is damaged.
    """
    path = map_file(home, identifier)
    try:
        stat = path.stat()
    except OSError:
        return None
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=3)
def _read(path: Path, _mtime_ns: int, _size: int) -> StoredMap:
    """Read a file once: the page and its routes ask for the same map many times."""
    with _opened(path) as (words, arrays):
        return StoredMap(
            spec=MapSpec.model_validate(words["spec"]),
            studies=tuple(words["studies"]),
            blocks=tuple(words["blocks"]),
            subjects=tuple(words["subjects"]),
            scorings=tuple(words["scorings"]),
            explained=tuple(words["explained"]),
            left_out=words["left_out"],
            thinned=words["thinned"],
            empty_studies=tuple((study, reason) for study, reason in words["empty_studies"]),
            created_at=datetime.fromisoformat(words["created_at"]),
            **{name: arrays[name] for name in _ARRAYS},
        )


def read_projection(home: Home, identifier: str) -> Projection:
    """Return the projection of a map that was made.

    Raises
    ------
    SleepFMError
        When there is none or its file is damaged.
    """
    with _opened(map_file(home, identifier)) as (words, arrays):
        method = MapSpec.model_validate(words["spec"]).method
        return Projection(method, arrays["basis_be"], arrays["places_f2"], tuple(words["explained"]))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[dict[str, Any], Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            yield json.loads(bytes(arrays["words"])), arrays
    except FileNotFoundError:
        raise RequestError("this map was not made yet, or was deleted; make it again") from None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise SleepFMError(f"{path}: is no map or is damaged ({error}); delete the file and make the map again") from None


@dataclass(frozen=True)
class Standing:
    """How a map stands to the index it was made from.

    Attributes
    ----------
    new
        Studies in the index that are not on the map, or that were embedded anew since.
    gone
        Studies on the map that the index does not hold any more.
    people_changed
        Whether a study on the map is now known to be of another person, so that the neighbours would be others.
    scored_anew
        Studies on the map that have another scoring now.
    """

    new: tuple[str, ...]
    gone: tuple[str, ...]
    people_changed: bool
    scored_anew: int

    @property
    def current(self) -> bool:
        """Whether the map shows what the index holds."""
        return not (self.new or self.gone or self.people_changed or self.scored_anew)


def standing(library: Library, stored: StoredMap) -> Standing:
    """Compare a map with the index and with what is known of the people."""
    keys = indexed(library, stored.spec)
    mapped = dict(zip((*stored.studies, *(study for study, _ in stored.empty_studies)), stored.blocks, strict=True))
    known = facts.people(library, stored.studies)
    marks = {study: place.mark for study, place in first_places(library).items()}
    subjects = [
        known[study].subject if study in known else was for study, was in zip(stored.studies, stored.subjects, strict=True)
    ]
    return Standing(
        new=tuple(study for study, key in keys.items() if mapped.get(study) != key),
        gone=tuple(study for study in mapped if study not in keys),
        people_changed=tuple(subjects) != stored.subjects,
        scored_anew=sum(marks.get(study, 0) != was for study, was in zip(stored.studies, stored.scorings, strict=True)),
    )


def indexed(library: Library, spec: MapSpec) -> dict[str, str]:
    """Return the studies that the index of a map's encoder holds, with what the rows of each were made from."""
    made_from = {
        row["study"]: f"{row['source_sha256']} {row['embeddings_key']}"
        for row in library.connection.execute(
            "SELECT study, source_sha256, embeddings_key FROM index_blocks WHERE encoder = ? AND grain = ?",
            (spec.encoder, Grain.WINDOW),
        )
    }
    return {block.study: made_from[block.study] for block in EmbeddingIndex(library, spec.encoder).blocks()}

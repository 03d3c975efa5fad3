"""The index that neighbours are looked up in: unit vectors of every study, in files that only ever grow.

For each encoder and grain there are two files a modality: half precision, which is scanned, and float32, which ranks the best.
Row n of all of them is the same stretch of the same night. Which rows are whose stands in the database: rows are written and
flushed first, then their block is stored, so what a crash leaves behind is overwritten by the next study.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from sleepfm.inference.embedding_files import Embeddings
from sleepfm.library.library import Library
from sleepfm.vocabulary import EPOCH_S, WINDOW_S, Modality


class Grain(StrEnum):
    """What one row is: a window (5 min, the encoder's own embedding of it) or an epoch (30 s, the mean of its six tokens)."""

    WINDOW = "window"
    EPOCH = "epoch"

    @property
    def row_s(self) -> float:
        """Seconds a row."""
        return WINDOW_S if self is Grain.WINDOW else EPOCH_S


@dataclass(frozen=True)
class Block:
    """The rows of one study: `rows` rows from `first_row` of the index; row k of them begins at k × `Grain.row_s` seconds."""

    study: str
    first_row: int
    rows: int
    modalities: tuple[Modality, ...]


@dataclass(frozen=True)
class Hit:
    """A row that was found: of which study, which of its rows, and its cosine with the query."""

    study: str
    row: int
    similarity: float


@dataclass(frozen=True)
class Nearest:
    """The answer of a search.

    Attributes
    ----------
    hits
        Best first.
    candidates
        Rows that were compared.
    better
        How many candidates are more similar to the query than the vector that was to be ranked; None when there was none.
    """

    hits: tuple[Hit, ...]
    candidates: int
    better: int | None


class EmbeddingIndex:
    """The index of one encoder at one grain.

    Parameters
    ----------
    library
        Stays open as long as the index is used.
    weights_sha256
        Of the encoder.
    """

    def __init__(self, library: Library, weights_sha256: str, grain: Grain = Grain.WINDOW) -> None:
        raise NotImplementedError

    @property
    def n(self) -> int:
        """Rows of all blocks."""
        raise NotImplementedError

    def add(self, study: str, embeddings: Embeddings) -> Block:
        """Append a study's rows; those it had before do not count any more.

        Parameters
        ----------
        study
            Its id; the library must know the hash of its file (`Library.store_hash`).
        embeddings
            Per 5 min for windows, per 5 s for epochs.

        Raises
        ------
        ModelError
            The embeddings are of other weights or another recipe than the index.
        RecordingError
            They were made from another file than the study's.
        """
        raise NotImplementedError

    def blocks(self) -> list[Block]:
        """Return the blocks that count, in the order of their rows.

        A block counts while the study's file and the users' corrections of its channels are those it was made from, and its rows
        are in the files.
        """
        raise NotImplementedError

    def block(self, study: str) -> Block | None:
        """Return a study's block, None when it has none that counts."""
        raise NotImplementedError

    def missing(self) -> list[str]:
        """Return the studies of the library that have no block that counts, in the order of their ids."""
        raise NotImplementedError

    def rows(self, study: str, modality: Modality) -> np.ndarray:
        """Return (row, E) float32 unit vectors of a study.

        NaN where a row cannot be used: it touches a gap, it is not whole, something in it is not finite, or the modality is
        absent.

        Raises
        ------
        RequestError
            The study has no block that counts.
        """
        raise NotImplementedError

    def nearest(
        self,
        query_e: np.ndarray,
        modality: Modality,
        top: int,
        *,
        without: Collection[str] = (),
        without_rows: Mapping[str, range] | None = None,
        ranked_e: np.ndarray | None = None,
    ) -> Nearest:
        """Return the rows nearest to a query by cosine; exact (loads torch).

        Parameters
        ----------
        query_e
            (E,) need not be of unit length.
        modality
            Of the rows that are searched.
        without
            Studies that are left out.
        without_rows
            Rows of studies (the study's own numbers) that are left out.
        ranked_e
            (E,) a vector whose place among the candidates is wanted, e.g. the true partner's.

        Raises
        ------
        RequestError
            The query is not finite or zero.
        """
        raise NotImplementedError

"""The index that neighbours are looked up in: unit vectors of every study, in files that never shrink.

For each encoder and grain there are two files a modality: half precision, which is scanned, and float32, which ranks the best.
Row n of all of them is the same stretch of the same night. Which rows are whose stands in the database: rows are written and
flushed first, then their block is stored, so what a crash leaves behind is overwritten by the next study. The rows of a study
that was removed, or indexed anew, are nobody's: no search looks at them, and the next study that fits takes their place.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from sleepfm.errors import ModelError, RecordingError, RequestError, SleepFMError
from sleepfm.inference.cache import key
from sleepfm.inference.embedding_files import Embeddings
from sleepfm.inference.index_rows import epoch_rows, window_rows
from sleepfm.library.channel_corrections import CorrectionsByMontage
from sleepfm.library.index_layout import Block, IndexLayout, kept_layout
from sleepfm.library.library import Library
from sleepfm.recording.derivations import corrections_text
from sleepfm.runs.database import transaction
from sleepfm.vocabulary import EPOCH_S, WINDOW_S, Kind, Modality

_HALF, _EXACT = np.dtype("<f2"), np.dtype("<f4")
_WAIT_S = 120.0
"""How long a writer waits for another one to finish its study."""


class Grain(StrEnum):
    """What one row is: a window (5 min, the encoder's own embedding of it) or an epoch (30 s, the mean of its six tokens)."""

    WINDOW = "window"
    EPOCH = "epoch"

    @property
    def row_s(self) -> float:
        """Seconds a row."""
        return WINDOW_S if self is Grain.WINDOW else EPOCH_S


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


@dataclass(frozen=True)
class _State:
    """What the database says of the index as a whole."""

    recipe: str
    width: int
    rows: int


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
        self.grain = grain
        self.weights_sha256 = weights_sha256
        self.folder = library.home.indexes / weights_sha256[:16] / grain.value
        self._library = library

    @property
    def n(self) -> int:
        """Rows of all blocks that count."""
        return sum(block.rows for block in self.blocks())

    def blocks(self) -> list[Block]:
        """Return the blocks that count, in the order of their rows.

        A block counts while the study's file and the users' corrections of its channels are those it was made from, and its rows
        are in the files.
        """
        return list(self._layout().blocks)

    def block(self, study: str) -> Block | None:
        """Return a study's block, None when it has none that counts."""
        return self._layout().of_study.get(study)

    def missing(self) -> list[str]:
        """Return the studies of the library that have no block that counts, in the order of their ids."""
        there = self._layout().of_study
        studies = self._library.connection.execute("SELECT id FROM studies ORDER BY id")
        return [row["id"] for row in studies if row["id"] not in there]

    def rows(self, study: str, modality: Modality) -> np.ndarray:
        """Return (row, E) float32 unit vectors of a study.

        NaN where a row cannot be used: it touches a gap, it is not whole, something in it is not finite, or the modality is
        absent.

        Raises
        ------
        RequestError
            The study has no block that counts.
        """
        block, state = self.block(study), self._state()
        if block is None or state is None:
            raise RequestError(f"{study} is not in the index of this encoder; index it first (sleepfm index)")
        offset = block.first_row * state.width * _EXACT.itemsize
        rows = np.fromfile(self._exact(modality), _EXACT, block.rows * state.width, offset=offset)
        return rows.reshape(block.rows, state.width).astype(np.float32, copy=False)

    def nearest(
        self,
        query_e: np.ndarray,
        modality: Modality,
        top: int,
        *,
        without: Collection[str] = (),
        without_rows: Mapping[str, Sequence[range]] | None = None,
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
            Rows of studies (the study's own numbers, which may lie beyond its ends) that are left out.
        ranked_e
            (E,) a vector whose place among the candidates is wanted, e.g. the true partner's.

        Raises
        ------
        RequestError
            The query is zero or not finite.
        ModelError
            The query has another length than the index's vectors.
        """
        from sleepfm.inference.window_search import RowFiles, search  # noqa: PLC0415 - torch

        layout, state = self._layout(), self._state()
        if state is None or not layout.blocks:
            return Nearest((), 0, None if ranked_e is None else 0)
        if query_e.shape != (state.width,):
            raise ModelError(f"the query has {query_e.size} numbers, the index {state.width}: they are of different encoders")
        (found,) = search(
            RowFiles(self._half(modality), self._exact(modality), layout.end, state.width),
            query_e[None],
            top,
            without=_stretches(layout, without, without_rows or {}),
            ranked_qe=None if ranked_e is None else ranked_e[None],
        )
        owners = [layout.owner(row) for row in found.row_k]
        hits = tuple(
            Hit(owner.study, int(row) - owner.first_row, float(similarity))
            for owner, row, similarity in zip(owners, found.row_k, found.similarity_k, strict=True)
        )
        return Nearest(hits, found.candidates, found.better)

    def add(self, study: str, embeddings: Embeddings, corrections: Mapping[int, Kind] | None = None) -> Block:
        """Write a study's rows where there is room; those it had before do not count any more.

        Parameters
        ----------
        study
            Its id; the library must know the hash of its file (`Library.store_hash`).
        embeddings
            Per 5 min for windows, per 5 s for epochs.
        corrections
            What users had corrected of its channels when the embeddings were made; None: what is corrected now.

        Raises
        ------
        ModelError
            The embeddings are of other weights or another recipe than the index.
        RecordingError
            They were made from another file than the study's, or no row of them can be used.
        SleepFMError
            The files cannot be written.
        """
        origin = embeddings.origin
        if origin.weights_sha256 != self.weights_sha256:
            raise ModelError(
                f"{study}: its embeddings are of other weights ({origin.weights_sha256[:12]}…) than this index"
                f" ({self.weights_sha256[:12]}…) and are never compared with them; embed it with the index's encoder"
            )
        known = self._library.study(study)
        if known.sha256 is None or origin.source_sha256 != known.sha256:
            raise RecordingError(f"{study}: its embeddings were made from another file than the library's; embed it again")
        rows = window_rows(embeddings) if self.grain is Grain.WINDOW else epoch_rows(embeddings)
        usable = tuple(modality for modality in Modality if modality in rows and np.isfinite(rows[modality]).any())
        if not usable:
            raise RecordingError(
                f"{study}: not one {'5-min window' if self.grain is Grain.WINDOW else '30-s epoch'} of it is whole and free of"
                " gaps, so there is nothing to index"
            )
        n, width = rows[usable[0]].shape
        made_from = self._made_from(
            origin.recipe, corrections_text(corrections) if corrections is not None else self._corrected(study)
        )
        with self._writing():
            first_row, end = self._room(study, origin.recipe, width, n)
            absent = np.full((n, width), np.nan, np.float32)
            for modality in Modality:
                rows_ne = rows.get(modality, absent)
                _write(self._half(modality), rows_ne.astype(_HALF), first_row)
                _write(self._exact(modality), rows_ne.astype(_EXACT), first_row)
            connection = self._library.connection
            with transaction(connection):
                connection.execute(
                    "INSERT INTO indexes (encoder, grain, recipe, embed_dim, rows) VALUES (?, ?, ?, ?, ?)"
                    " ON CONFLICT (encoder, grain) DO UPDATE SET rows = excluded.rows",
                    (self.weights_sha256, self.grain.value, origin.recipe, width, max(end, first_row + n)),
                )
                connection.execute(
                    "INSERT OR REPLACE INTO index_blocks (encoder, grain, study, first_row, rows, modalities, source_sha256,"
                    " embeddings_key, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        self.weights_sha256,
                        self.grain.value,
                        study,
                        first_row,
                        n,
                        ",".join(usable),
                        origin.source_sha256,
                        made_from,
                        datetime.now(UTC).isoformat(),
                    ),
                )
        return Block(study, first_row, n, usable)

    def _state(self) -> _State | None:
        row = self._library.connection.execute(
            "SELECT recipe, embed_dim, rows FROM indexes WHERE encoder = ? AND grain = ?", (self.weights_sha256, self.grain.value)
        ).fetchone()
        return None if row is None else _State(row["recipe"], row["embed_dim"], row["rows"])

    def _layout(self) -> IndexLayout:
        state = self._state()
        if state is None:
            return IndexLayout(())
        in_files = self._rows_in_files(state.width)
        name = (self.weights_sha256, self.grain, in_files)
        return kept_layout(self._library.home.database, name, lambda: IndexLayout(tuple(self._blocks(state, in_files))))

    def _blocks(self, state: _State, in_files: int) -> list[Block]:
        right = CorrectionsByMontage(self._library)
        of_montage: dict[str, str] = {}
        modalities: dict[str, tuple[Modality, ...]] = {}
        found = []
        for study, first_row, rows, names, made_from, montage in self._library.connection.execute(
            "SELECT b.study, b.first_row, b.rows, b.modalities, b.embeddings_key, s.montage FROM index_blocks b"
            " JOIN studies s ON s.id = b.study AND s.sha256 = b.source_sha256"
            " WHERE b.encoder = ? AND b.grain = ? ORDER BY b.first_row",
            (self.weights_sha256, self.grain.value),
        ):
            if montage not in of_montage:
                of_montage[montage] = self._made_from(state.recipe, right.of(montage))
            if names not in modalities:
                modalities[names] = tuple(Modality(name) for name in names.split(","))
            if first_row + rows <= in_files and made_from == of_montage[montage]:
                found.append(Block(study, first_row, rows, modalities[names]))
        return found

    def _corrected(self, study: str) -> str:
        return CorrectionsByMontage(self._library).of(self._library.study(study).montage)

    def _made_from(self, recipe: str, corrections: str) -> str:
        """Return the key of what rows are made from, but for the recording."""
        return key("embedding", {"weights": self.weights_sha256, "recipe": recipe, "corrections": corrections})

    def _room(self, study: str, recipe: str, width: int, n: int) -> tuple[int, int]:
        """Return where the next n rows go, and the row behind the last that is anybody's.

        Blocks that are not whole in the files any more are forgotten first.
        """
        state = self._state()
        if state is None:
            return 0, 0
        if (state.recipe, state.width) != (recipe, width):
            raise ModelError(
                f"{study}: its embeddings (recipe {recipe}, {width} numbers) do not go with this index (recipe {state.recipe},"
                f" {state.width} numbers) and are never compared with them; embed it with the index's encoder"
            )
        in_files = self._rows_in_files(width)
        index = (self.weights_sha256, self.grain.value)
        connection = self._library.connection
        if in_files < state.rows:
            with transaction(connection):
                connection.execute(
                    "DELETE FROM index_blocks WHERE encoder = ? AND grain = ? AND first_row + rows > ?", (*index, in_files)
                )
                connection.execute("UPDATE indexes SET rows = ? WHERE encoder = ? AND grain = ?", (in_files, *index))
        found, end = None, 0
        # those that do not count now are kept: they do again when a correction is taken back
        for first_row, rows in connection.execute(
            "SELECT first_row, rows FROM index_blocks WHERE encoder = ? AND grain = ? ORDER BY first_row", index
        ):
            if found is None and first_row - end >= n:
                found = end
            end = first_row + rows
        return (end if found is None else found), end

    def _rows_in_files(self, width: int) -> int:
        sizes = [
            _size(path) // (width * dtype.itemsize)
            for modality in Modality
            for path, dtype in ((self._half(modality), _HALF), (self._exact(modality), _EXACT))
        ]
        return min(sizes)

    def _half(self, modality: Modality) -> Path:
        return self.folder / f"{modality}.float16"

    def _exact(self, modality: Modality) -> Path:
        return self.folder / f"{modality}.float32"

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / "lock", timeout=_WAIT_S):
                yield
        except Timeout:
            raise SleepFMError(f"{self.folder}: another program is writing to the index; try again when it is done") from None
        except OSError as error:
            raise SleepFMError(
                f"{self.folder}: writing failed ({error.strerror or error}); free some space and try again"
            ) from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _write(path: Path, rows_ne: np.ndarray, first_row: int) -> None:
    """Write rows where they belong and to the disk.

    What stands behind the last ones is nobody's, and stays: a search that maps the file would die with a file that shrinks.
    """
    start = first_row * rows_ne.shape[1] * rows_ne.itemsize
    with path.open("r+b" if path.is_file() else "w+b") as file:
        file.seek(start)
        file.write(rows_ne.tobytes())
        file.flush()
        os.fsync(file.fileno())


def _stretches(
    layout: IndexLayout, without: Collection[str], without_rows: Mapping[str, Sequence[range]]
) -> list[tuple[int, int]]:
    """Return the rows of the files, as (first, behind the last), that are no candidates."""
    of_study = layout.of_study
    whole = [of_study[study] for study in without if study in of_study]
    parts = [
        (of_study[study].first_row + max(rows.start, 0), of_study[study].first_row + min(rows.stop, of_study[study].rows))
        for study, several in without_rows.items()
        if study in of_study
        for rows in several
    ]
    return [*layout.holes, *((block.first_row, block.first_row + block.rows) for block in whole), *parts]

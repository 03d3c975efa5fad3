"""The rows that an index holds of a night, made from its embeddings: unit vectors, NaN where a row cannot be used."""

from __future__ import annotations

import numpy as np

from sleepfm.inference.embedding_files import EmbeddingOrigin, Embeddings
from sleepfm.vocabulary import EPOCH_S, TOKEN_S, TOKENS_PER_EPOCH, WINDOW_S, Modality

_WINDOW_TOKENS = int(WINDOW_S / TOKEN_S)


def window_rows(embeddings: Embeddings) -> dict[Modality, np.ndarray]:
    """Return (window, E) float32 unit vectors of each modality that is there.

    NaN where a window is not whole, touches a gap, or something in it is not finite.

    Parameters
    ----------
    embeddings
        Per 5 min.
    """
    _require(embeddings, WINDOW_S)
    unusable_n = _in_gaps(embeddings.origin, embeddings.n, WINDOW_S)
    unusable_n[-1] |= embeddings.origin.last_window_tokens < _WINDOW_TOKENS
    return {modality: _blanked(unit_rows(rows_ne), unusable_n) for modality, rows_ne in embeddings.rows.items()}


def epoch_rows(embeddings: Embeddings) -> dict[Modality, np.ndarray]:
    """Return (epoch, E) float32 unit vectors of each modality that is there: the means of the six tokens of whole 30-s epochs.

    NaN where an epoch touches a gap, or something in it is not finite.

    Parameters
    ----------
    embeddings
        Per 5 s.
    """
    _require(embeddings, TOKEN_S)
    epochs = min(int(embeddings.origin.duration_s // EPOCH_S), embeddings.n // TOKENS_PER_EPOCH)
    unusable_n = _in_gaps(embeddings.origin, epochs, EPOCH_S)
    return {
        modality: _blanked(
            unit_rows(rows_ne[: epochs * TOKENS_PER_EPOCH].reshape(epochs, TOKENS_PER_EPOCH, -1).mean(axis=1)), unusable_n
        )
        for modality, rows_ne in embeddings.rows.items()
    }


def unit_rows(rows_ne: np.ndarray) -> np.ndarray:
    """Return (row, E) float32 of length 1; rows that are zero or not finite become NaN."""
    rows = np.asarray(rows_ne, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        # by the largest first, so that squares neither overflow nor vanish
        scaled = rows / np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
        unit = (scaled / np.linalg.norm(scaled, axis=1, keepdims=True)).astype(np.float32)
    return _blanked(unit, ~np.isfinite(unit).all(axis=1))


def _blanked(rows_ne: np.ndarray, unusable_n: np.ndarray) -> np.ndarray:
    rows_ne[unusable_n] = np.nan
    return rows_ne


def _in_gaps(origin: EmbeddingOrigin, n: int, row_s: float) -> np.ndarray:
    start_n = np.arange(n) * row_s
    touched_n = np.zeros(n, bool)
    for start_s, stop_s in origin.gaps:
        touched_n |= (start_n < stop_s) & (start_n + row_s > start_s)
    return touched_n


def _require(embeddings: Embeddings, row_s: float) -> None:
    if embeddings.row_s != row_s:
        raise ValueError(f"embeddings per {embeddings.row_s:g} s where those per {row_s:g} s are wanted")

"""Libraries and indexes of made-up embeddings: no model runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sleepfm.inference.embedding_files import EmbeddingOrigin, Embeddings
from sleepfm.library.library import Library
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.vocabulary import TOKEN_S, WINDOW_S, Modality
from tests.make_edf import write_edf

WEIGHTS = "a" * 64
WIDTH = 16


def add_study(library: Library, folder: Path, name: str, *, seed: int = 0) -> str:
    """Add a short recording of its own content, with the hash of its file."""
    path = write_edf(folder / f"{name}.edf", seconds=2, labels=("C4-M1", "ECG"), seed=seed)
    study = library.add(path).id
    library.store_hash(study, fingerprint(path))
    return study


def embeddings_of(
    library: Library,
    study: str,
    rows: Mapping[Modality, np.ndarray],
    *,
    row_s: float = WINDOW_S,
    weights: str = WEIGHTS,
    recipe: str = "published",
    gaps: tuple[tuple[float, float], ...] = (),
    last_window_tokens: int = 60,
) -> Embeddings:
    """Return embeddings of a study that say they were made from its file."""
    n = len(next(iter(rows.values())))
    origin = EmbeddingOrigin(
        record_id=study,
        model="made-up",
        weights_sha256=weights,
        recipe=recipe,
        source_sha256=library.study(study).sha256 or "",
        key="k" * 64,
        duration_s=n * row_s if row_s == TOKEN_S else (n - 1) * WINDOW_S + last_window_tokens * TOKEN_S,
        last_window_tokens=last_window_tokens,
        gaps=gaps,
        channels=dict.fromkeys(rows, ("one",)),
        left_out=(),
        notes=(),
        device="cpu",
        precision="fp32",
        simulated=False,
        sleepfm_version="0",
    )
    return Embeddings({modality: np.asarray(array, np.float32) for modality, array in rows.items()}, row_s, origin)


def random_rows(
    n: int, *, seed: int = 0, modalities: tuple[Modality, ...] = tuple(Modality), width: int = WIDTH
) -> dict[Modality, np.ndarray]:
    """Return (row, E) of each modality: what happens in a window, and noise of each modality's own."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, width))
    return {modality: (shared + rng.normal(size=(n, width))).astype(np.float32) for modality in modalities}

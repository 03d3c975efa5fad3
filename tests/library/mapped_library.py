"""A library with an index to make maps of: nights whose windows lie about a centre of their site and of their person."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from sleepfm.inference.embedding_files import EmbeddingOrigin, Embeddings
from sleepfm.library import facts
from sleepfm.library.embedding_index import EmbeddingIndex
from sleepfm.library.library import Library
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.vocabulary import Modality
from tests.library.small_library import add_studies

ENCODER = "ab" * 32
WIDTH = 8


def mapped_library(folder: Path, *, people: int = 6, nights: int = 2, windows: int = 5) -> Library:
    """Return an open library: people p0, p1, … at the sites A and B in turn, each with some nights `p0-1`, `p0-2`, …."""
    shutil.copytree(_original(people, nights, windows) / "home", folder / "home")
    (folder / "edf").mkdir()
    return Library.open(folder / "home")


@cache
def _original(people: int, nights: int, windows: int) -> Path:
    """Make the library once: an index is flushed to the disk again and again."""
    folder = Path(tempfile.mkdtemp(prefix="sleepfm-mapped-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "edf").mkdir()
    names = [f"p{person}-{night}" for person in range(people) for night in range(1, nights + 1)]
    with Library.open(folder / "home") as library:
        add_nights(library, folder / "edf", names, windows)
    return folder


def add_nights(library: Library, folder: Path, names: Sequence[str], windows: int = 5) -> None:
    """Add nights of the people that their names begin with, with facts and embeddings; even people are of site A."""
    index = EmbeddingIndex(library, ENCODER)
    for study in add_studies(library, folder, names):
        person = int(study[1:].split("-")[0])
        sha256 = f"{person:032x}{study.encode().hex():0>32}"[-64:]
        library.store_hash(study, sha256)
        known = {
            "subject": f"p{person}",
            "site": "AB"[person % 2],
            "age": str(40 + person),
            "sex": ("female", "male")[person % 3 % 2],
        }
        facts.store(library, study, known)
        index.add(study, embeddings(person, sha256, windows=windows, seed=sum(study.encode())))


def embeddings(
    person: int, sha256: str, *, windows: int, seed: int, modalities: Sequence[Modality] = tuple(Modality)
) -> Embeddings:
    """Return the windows of a night: the site's centre far away, the person's close by, and noise."""
    site = np.random.default_rng(person % 2).standard_normal(WIDTH)
    own = np.random.default_rng(100 + person).standard_normal(WIDTH)
    noise = np.random.default_rng(seed)
    rows = {
        modality: (3 * site + own + 0.3 * noise.standard_normal((windows, WIDTH))).astype(np.float32) for modality in modalities
    }
    return Embeddings(rows, 300.0, _origin(sha256, windows))


def _origin(sha256: str, windows: int) -> EmbeddingOrigin:
    return EmbeddingOrigin(
        record_id="night",
        model="encoder",
        weights_sha256=ENCODER,
        recipe="published",
        source_sha256=sha256,
        key="",
        duration_s=windows * 300.0,
        last_window_tokens=60,
        gaps=(),
        channels=dict.fromkeys(Modality, ("x",)),
        left_out=(),
        notes=(),
        device="cpu",
        precision="fp32",
        simulated=False,
        sleepfm_version="0",
    )


def score(library: Library, study: str, stages: Sequence[int]) -> None:
    """Store a person's scoring."""
    provenance = {"label": "Expert", "note": "", "source_sha256": library.study(study).sha256}
    library.store_scoring(study, Scoring(np.array(stages, np.int8)), engine="expert", model="", provenance=provenance)

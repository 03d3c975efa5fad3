"""A library of small recordings that people, programs or nobody scored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sleepfm.library import facts
from sleepfm.library.library import Library
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.scorings.scoring import Scoring
from tests.make_edf import write_edf

SECONDS = 150


def add_recordings(library: Library, folder: Path, names: Sequence[str]) -> None:
    """Add a recording of its own for each name: five 30-s epochs of EEG, EOG, EMG, ECG and flow."""
    for number, name in enumerate(names):
        study = library.add(write_edf(folder / f"{name}.edf", seconds=SECONDS, seed=number))
        library.store_hash(study.id, fingerprint(study.path))


def score(
    library: Library, study: str, engine: str = "manual", *, model: str = "", stages: Sequence[int] = (0, 2, 2, 3, -1)
) -> None:
    """Store a scoring of five epochs."""
    sha256 = library.study(study).sha256
    provenance = {"engine": engine, "label": engine, "note": "for a test", "source_sha256": sha256, "warnings": []}
    library.store_scoring(study, Scoring(np.array(stages, np.int8)), engine=engine, model=model, provenance=provenance)


def whose(library: Library, people: dict[str, str], **more: dict[str, str]) -> None:
    """Say whose night each study is, and further facts by name."""
    values: dict[str, dict[str, str]] = {study: {facts.SUBJECT: person} for study, person in people.items()}
    for name, of_study in more.items():
        for study, value in of_study.items():
            values.setdefault(study, {})[name] = value
    facts.store_many(library, values)

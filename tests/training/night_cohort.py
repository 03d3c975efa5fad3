"""A tiny cohort of nights that exists as embeddings only: stages, breathing events and follow-up can be learned from them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sleepfm.inference.embedding_files import EmbeddingOrigin, Embeddings, embedding_paths, write_embeddings
from sleepfm.models.card import PUBLISHED_KINDS, SIMULATED, ModalityCoding, SignalCoding, Task
from sleepfm.models.networks import build
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.recording.scorings.events_csv import write_events
from sleepfm.recording.scorings.formats import write_scoring
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.vocabulary import TOKENS_PER_EPOCH, EventName, Modality

EMBED_DIM = 16
CONDITIONS = ("SIM-01", "SIM-02", "SIM-03")
_ENCODER = {"embed_dim": EMBED_DIM, "num_heads": 2, "num_layers": 1, "pooling_head": 2, "patch_size": 640, "dropout": 0.0}


@dataclass(frozen=True)
class NightCohort:
    """Where everything of a cohort is."""

    folder: Path
    shelf: Shelf
    encoder: ShelfEntry
    studies: tuple[str, ...]
    stages: dict[str, np.ndarray]
    sdb: dict[str, np.ndarray]
    hazards: dict[str, float]

    @property
    def embeddings(self) -> Path:
        return self.folder / "embeddings"

    def data(self) -> dict[str, object]:
        """Return the settings that every task needs."""
        return {
            "encoder": self.encoder.name,
            "embeddings": self.embeddings,
            "data": {"splits": self.folder / "splits.json", "cohort": self.folder / "cohort.csv"},
        }


def make_encoder(root: Path, seed: int = 0) -> tuple[Shelf, ShelfEntry]:
    """Put a tiny encoder on a new shelf."""
    import torch

    torch.manual_seed(seed)
    shelf = Shelf(root)
    modalities = {m: ModalityCoding(kinds=PUBLISHED_KINDS[m], max_channels=4) for m in Modality}
    about = {
        "task": Task.ENCODER,
        "architecture": "SetTransformer",
        "parameters": _ENCODER,
        "signals": SignalCoding(recipe="published", modalities=modalities),
        "trained_on": SIMULATED,
    }
    return shelf, shelf.add("tiny", build("SetTransformer", _ENCODER).state_dict(), about)


def write_night(
    cohort: Path, study: str, z: dict[Modality, np.ndarray], encoder: ShelfEntry, *, gaps: Sequence[tuple[float, float]] = ()
) -> None:
    """Write a night's embeddings, one row a token."""
    tokens = len(next(iter(z.values())))
    origin = EmbeddingOrigin(
        record_id=study, model=encoder.name, weights_sha256=encoder.card.weights_sha256, recipe="published", source_sha256="",
        key="", duration_s=tokens * 5.0, last_window_tokens=60, gaps=tuple(gaps), channels=dict.fromkeys(z, ("x",)), left_out=(),
        notes=(), device="cpu", precision="fp32", simulated=True, sleepfm_version="0",
    )  # fmt: skip
    write_embeddings({embedding_paths(cohort / "embeddings", study)[0]: Embeddings(z, 5.0, origin)})


def make_cohort(folder: Path, *, nights: int = 12, epochs: int = 80, seed: int = 0) -> NightCohort:
    """Write embeddings, scorings, events and tables of `nights` subjects with `epochs` 30-s epochs each.

    The last night lacks RESP, the one before has a gap. Stages show in BAS and EMG, events in RESP and EKG, and each person's
    hazard in all.
    """
    rng = np.random.default_rng(seed)
    shelf, encoder = make_encoder(folder / "shelf", seed)
    stage_ke = rng.normal(size=(5, EMBED_DIM))
    event_e, hazard_e = rng.normal(size=(2, EMBED_DIM)) * np.array([[1.5], [0.4]])
    studies = tuple(f"night-{n:02d}" for n in range(nights))
    stages_of, sdb_of, hazards, tables = {}, {}, {}, []
    for n, study in enumerate(studies):
        stages_e = np.repeat(rng.permutation(np.arange(-(-epochs // 4)) % 5), 4)[:epochs]
        sdb_e = (rng.random(epochs) < (0.02 if n % 2 else 0.5)) & (stages_e > 0)
        hazard = float(rng.normal())
        stage_t, sdb_t = stages_e.repeat(TOKENS_PER_EPOCH), sdb_e.repeat(TOKENS_PER_EPOCH)
        z = {}
        for modality in Modality:
            z_te = rng.normal(scale=0.5, size=(epochs * TOKENS_PER_EPOCH, EMBED_DIM)) + hazard * hazard_e
            if modality in (Modality.BAS, Modality.EMG):
                z_te += stage_ke[stage_t]
            else:
                z_te += np.outer(sdb_t, event_e)
            z[modality] = z_te.astype(np.float32)
        if n == nights - 1:
            del z[Modality.RESP]
        write_night(folder, study, z, encoder, gaps=[(30.0, 60.0)] if n == nights - 2 else [])
        write_scoring(Scoring(stages_e.astype(np.int8)), folder / f"{study}.csv")
        events = [Event(30.0 * e + 5, 30.0 * e + 25, EventName.HYPOPNEA) for e in np.flatnonzero(sdb_e)]
        write_events(events, folder / f"{study}_events.csv")
        stages_of[study], sdb_of[study], hazards[study] = stages_e, sdb_e, hazard
        years = rng.exponential(4 * np.exp(-1.5 * hazard), 3).clip(0.01)
        tables.append((study, years, (years < 8) & np.array([True, True, False]), rng.uniform(20, 80), n % 2))
    _write_tables(folder, tables)
    splits = {"train": studies[: nights // 2], "validation": studies[nights // 2 :]}
    (folder / "splits.json").write_text(json.dumps(splits))
    return NightCohort(folder, shelf, encoder, studies, stages_of, sdb_of, hazards)


def _write_tables(folder: Path, rows: list[tuple[str, np.ndarray, np.ndarray, float, int]]) -> None:
    def write(name: str, header: Sequence[str], cells: list[list[object]]) -> None:
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([header, *cells])

    write("cohort.csv", ("Study ID", "Subject ID"), [[study, f"p-{study}"] for study, *_ in rows])
    write("demographics.csv", ("Study ID", "age", "gender"), [[study, age, sex] for study, _, _, age, sex in rows])
    write("is_event.csv", ("Study ID", *CONDITIONS), [[study, *map(int, event)] for study, _, event, *_ in rows])
    write("time_to_event.csv", ("Study ID", *CONDITIONS), [[study, *years.clip(max=8)] for study, years, *_ in rows])

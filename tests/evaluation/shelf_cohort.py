"""A cohort of embeddings with models of random weights on a shelf, and the run that made the encoder."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sleepfm.analysis.breathing import SEVERITIES
from sleepfm.inference.embedding_files import Embeddings, embedding_paths, read_embeddings, write_embeddings
from sleepfm.models.card import SIMULATED, STAGE_LABELS, Condition, DemographicCoding, EncoderLink
from sleepfm.models.networks import ARCHITECTURES, build, load_model
from sleepfm.models.shelf import Shelf, ShelfEntry
from tests.training.night_cohort import CONDITIONS, EMBED_DIM, NightCohort, make_cohort

_HEAD = {
    "embed_dim": EMBED_DIM,
    "num_heads": 2,
    "num_layers": 1,
    "pooling_head": 2,
    "dropout": 0.0,
    "max_seq_length": 480,
}
_CODING = DemographicCoding(age_scale=100.0, sex_code={"female": 0.0, "male": 1.0})


@dataclass(frozen=True)
class ShelfCohort:
    """A home folder and the cohort beside it: nights 0 and 1 pretrain, 2 to 5 train, 6 and 7 validate, 8 to 13 test."""

    nights: NightCohort
    home: Path

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.home / "models")

    @property
    def runs(self) -> Path:
        return self.home / "runs"

    @property
    def test(self) -> tuple[str, ...]:
        return self.nights.studies[8:]

    def settings(self, **more: Any) -> dict[str, Any]:
        """Return what every task is told."""
        folder = self.nights.folder
        return {
            "data": {"splits": str(folder / "splits.json"), "cohort": str(folder / "cohort.csv")},
            "embeddings": str(folder / "embeddings"),
            "evaluation": {"resamples": 20, "groups": ["sex"], "smallest_group": 2, "candidates": [10]},
            "threads": 1,
            **more,
        }

    def labels(self) -> dict[str, str]:
        """Return where scorings and events are."""
        return {"scorings": str(self.nights.folder), "events": str(self.nights.folder)}

    def follow_up(self) -> dict[str, str]:
        """Return where the follow-up is."""
        names = ("is_event", "time_to_event", "demographics")
        return {name: str(self.nights.folder / f"{name}.csv") for name in names}


def make_shelf_cohort(folder: Path) -> ShelfCohort:
    """Write everything; the windows of a night look alike in all modalities, so that retrieval finds them."""
    nights = make_cohort(folder / "cohort", nights=14)
    home = folder / "home"
    shelf = Shelf(home / "models")
    encoder = load_model(nights.encoder.folder)
    about = {name: getattr(encoder.card, name) for name in ("task", "architecture", "parameters", "signals", "trained_on")}
    entry = shelf.add("tiny", encoder.network.state_dict(), about)
    torch.manual_seed(1)
    _add_head(shelf, entry, "stager", "SleepEventLSTMClassifier", 5, labels=STAGE_LABELS)
    _add_head(shelf, entry, "breather", "BreathingHead", 4, labels=SEVERITIES)
    known = tuple(Condition(phecode=name, phenotype=name) for name in CONDITIONS[:2])
    disease: dict[str, Any] = {"labels": known, "demographics": _CODING}
    _add_head(shelf, entry, "risk", "DiagnosisFinetuneFullLSTMCOXPHWithDemo", 2, **disease)
    _add_head(shelf, entry, "demographics", "DemographicsHead", 2, **disease)
    _write_windows(nights)
    _write_tables(nights)
    write_run(home / "runs" / "tiny", nights, about, lists=["pretrain"])
    return ShelfCohort(nights, home)


def write_run(folder: Path, nights: NightCohort, about: dict[str, Any], *, lists: list[str]) -> None:
    """Write the folder of the run that made the encoder."""
    Shelf(folder).add("model", load_model(nights.encoder.folder).network.state_dict(), about)
    data = {"splits": str(nights.folder / "splits.json"), "cohort": str(nights.folder / "cohort.csv"), "lists": lists}
    (folder / "config.yaml").write_text(json.dumps({"name": "tiny", "data": data, "start_from": None}))


def _add_head(shelf: Shelf, encoder: ShelfEntry, name: str, architecture: str, classes: int, **card: Any) -> None:
    parameters = {**_HEAD, "num_classes": classes}
    about = {
        "task": ARCHITECTURES[architecture].task,
        "architecture": architecture,
        "parameters": parameters,
        "encoder": EncoderLink(name=encoder.name, weights_sha256=encoder.card.weights_sha256),
        "trained_on": SIMULATED,
        **card,
    }
    shelf.add(name, build(architecture, parameters).state_dict(), about)


def _write_windows(nights: NightCohort) -> None:
    rng = np.random.default_rng(3)
    for study in nights.studies:
        paths = embedding_paths(nights.embeddings, study)
        found = read_embeddings(paths[0])
        windows_ne = rng.normal(size=(8, EMBED_DIM))
        rows = {m: (windows_ne + rng.normal(scale=0.05, size=windows_ne.shape)).astype(np.float32) for m in found.rows}
        write_embeddings({paths[1]: Embeddings(rows, 300.0, found.origin)})


def _write_tables(nights: NightCohort) -> None:
    with (nights.folder / "demographics.csv").open(newline="") as file:
        people = list(csv.DictReader(file))
    with (nights.folder / "cohort.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("Study ID", "Subject ID", "age", "sex", "bmi", "site"))
        for row in people:
            sex = ("female", "male")[int(row["gender"])]
            table.writerow((row["Study ID"], f"p-{row['Study ID']}", row["age"], sex, 20 + float(row["age"]) / 10, "A"))
    lists = {"pretrain": nights.studies[:2], "train": nights.studies[2:6], "validation": nights.studies[6:8]}
    (nights.folder / "splits.json").write_text(json.dumps({**lists, "test": nights.studies[8:]}))

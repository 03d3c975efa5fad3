"""The supervised baseline: encoder and head as one network, from signals whose rhythm tells the stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sleepfm.errors import Cancelled, RequestError
from sleepfm.models.networks import load_model
from sleepfm.models.shelf import Shelf
from sleepfm.signals.store_writing import SignalsHeader, SignalToStore, create_signals
from sleepfm.training.end_to_end import ScoredLoader, shelve_pair, train_end_to_end
from sleepfm.training.engine import Trainer
from sleepfm.training.finetune_settings import EndToEndSettings
from sleepfm.training.night_embeddings import embed_nights
from sleepfm.training.night_labels import StageReader, gather_nights, label_files
from sleepfm.training.predictions import predict_stages
from sleepfm.training.settings import EncoderSettings
from sleepfm.training.window_loader import WindowLoader
from sleepfm.training.windows import open_store
from sleepfm.vocabulary import MODEL_RATE_HZ, Kind, Modality

EPOCHS = 10
RHYTHM_HZ = {0: 10.0, 2: 1.0}
ENCODER = {"embed_dim": 16, "num_heads": 2, "num_layers": 1, "pooling_head": 2, "patch_size": 640, "dropout": 0.0}


def write_scored(folder: Path, study: str, seed: int) -> np.ndarray:
    """Write a recording whose EEG beats fast when awake and slowly in N2, its ECG always alike, and its scoring."""
    rng = np.random.default_rng(seed)
    stages_e = rng.permutation([0, 2] * (EPOCHS // 2))
    t = np.arange(EPOCHS * 30 * MODEL_RATE_HZ) / MODEL_RATE_HZ
    rhythm_hz = np.array([RHYTHM_HZ[stage] for stage in stages_e]).repeat(30 * MODEL_RATE_HZ)
    signals = [("C3-M2", Modality.BAS, Kind.EEG, rhythm_hz), ("ECG", Modality.EKG, Kind.ECG, np.full_like(rhythm_hz, 1.2))]
    header = SignalsHeader(study, "grouped", "published", len(t) / MODEL_RATE_HZ, None, (), simulated=True)
    with create_signals(folder / f"{study}.hdf5", header) as writer:
        for index, (label, modality, kind, hz_t) in enumerate(signals):
            z = (np.sin(2 * np.pi * hz_t * t) + 0.3 * rng.standard_normal(len(t))).astype(np.float16)
            writer.add(SignalToStore(label, index, label, modality, kind, 128.0, "uV", mean=0.0, std=1.0, flat=False, z=z))
        writer.set_source(f"{seed:064x}")
    rows = "".join(f"{30 * e},{30 * e + 30},{'Wake' if stage == 0 else 'Stage 2'},{stage}\n" for e, stage in enumerate(stages_e))
    (folder / f"{study}.csv").write_text(f"Start,Stop,StageName,StageNumber\n{rows}")
    return stages_e


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("scored")
    stages = {f"s{n}": write_scored(folder, f"s{n}", n) for n in range(6)}
    write_scored(folder, "unscored", 9)
    (folder / "unscored.csv").unlink()
    splits = {"train": ["s0", "s1", "s2", "s3", "unscored"], "validation": ["s4", "s5"]}
    (folder / "splits.json").write_text(json.dumps(splits))
    return folder, stages


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def ask(folder: Path, **training: Any) -> EndToEndSettings:
    return EndToEndSettings.model_validate({
        "name": "joint",
        "data": {"signals": [folder], "splits": folder / "splits.json"},
        "encoder": {"parameters": ENCODER},
        "head": {"parameters": {"num_heads": 2, "pooling_head": 2}},
        "training": {"epochs": 14, "batch_size": 2, "validate_every": 1000}
        | {"optimiser": {"learning_rate": 5e-3, "schedule": "constant"}}
        | training,
    })  # fmt: skip


def losses(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["train/loss"] for line in lines if "train/loss" in line]


def test_learns_from_signals_and_works_as_a_pair(scored: tuple[Path, dict[str, np.ndarray]], tmp_path: Path) -> None:
    folder, stages = scored

    outcome, about = train_end_to_end(ask(folder), tmp_path / "run")

    assert outcome.state == "finished"
    assert losses(tmp_path / "run")[-1] < 0.6 * losses(tmp_path / "run")[0]
    notes = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert '"left_out": "unscored"' in notes
    assert "no training epoch is Stage 1 or Stage 3 or REM" in notes
    shelf = Shelf(tmp_path / "shelf")
    head = shelve_pair(shelf, "joint", about, half=True)
    encoder = shelf.encoder_of(head.card)
    assert (encoder.name, head.card.baseline, head.card.trained_on) == ("joint-encoder", True, "simulated")
    # As with a pretrained pair: embed, then stage.
    found = embed_nights(["s4", "s5"], [folder], encoder, tmp_path / "embeddings")
    nights = gather_nights(StageReader(label_files(folder, (), "")), found, {}).nights
    for one in predict_stages(load_model(head.folder), list(nights.values())):
        assert (one.probability_ek.argmax(axis=1) == stages[one.study]).mean() > 0.7


def test_a_token_has_the_stage_of_its_own_epoch(scored: tuple[Path, dict[str, np.ndarray]]) -> None:
    folder, stages = scored
    encoder = EncoderSettings.model_validate({"window_s": 60.0, "parameters": ENCODER})
    store = open_store([folder], encoder.coding(), least_samples=encoder.window_samples)
    by_number = [stages.get(recording.id, np.full(EPOCHS, -1)) for recording in store.recordings]
    windows = WindowLoader(store, batch_size=5, window_samples=encoder.window_samples, seed=0, augmentation=None)

    seen = 0
    for batch in ScoredLoader(windows, by_number, encoder.window_samples, encoder.patch_size).batches(0):
        rows = zip(batch.labels_ns.tolist(), batch.windows.recording_n.tolist(), batch.windows.start_n.tolist(), strict=True)
        for labels, number, start in rows:
            seconds = start / MODEL_RATE_HZ + 5 * np.arange(12)
            assert labels == by_number[number][(seconds // 30).astype(int)].tolist()
            seen += 1
    assert seen == 35 // 5 * 5


def test_a_resumed_run_equals_an_uninterrupted_one(
    scored: tuple[Path, dict[str, np.ndarray]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def report(trainer: Any) -> None:
        try:
            trainer._progress(0.5, f"step {trainer.course.step}.")
        except Cancelled:
            trainer._stop.set()

    def cancel(_fraction: float, message: str) -> None:
        if message == "step 2.":
            raise Cancelled

    monkeypatch.setattr(Trainer, "_report", report)
    settings = ask(scored[0], epochs=2)
    _, whole = train_end_to_end(settings, tmp_path / "whole")
    stopped, about = train_end_to_end(settings, tmp_path / "cut", progress=cancel)
    assert (stopped.state, about) == ("stopped", {})
    _, resumed = train_end_to_end(settings, tmp_path / "cut", resume=True)

    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    for side in ("encoder", "head"):
        assert all(torch.equal(resumed[side]["state"][name], x) for name, x in whole[side]["state"].items())


def test_recordings_without_any_scoring_are_refused(scored: tuple[Path, dict[str, np.ndarray]], tmp_path: Path) -> None:
    settings = ask(scored[0]).model_copy(update={"scorings": tmp_path})

    with pytest.raises(RequestError, match="no recording for train: none of its 5 studies can be used; s0: has no scoring"):
        train_end_to_end(settings, tmp_path / "run")

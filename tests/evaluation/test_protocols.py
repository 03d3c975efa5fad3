"""Evaluations that begin with files: an external cohort's tree, and protocols that train what they compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sleepfm.errors import RequestError
from sleepfm.evaluation.evaluation import Evaluation, Table
from sleepfm.evaluation.run_settings import EVALUATION_OF
from sleepfm.evaluation.runs import evaluate
from sleepfm.recording.scorings.formats import write_scoring
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.training.config_files import read_settings, shipped_configs
from tests.cohort_files import nsrr_study, write_mesa
from tests.evaluation.shelf_cohort import make_shelf_cohort
from tests.training.conftest import write_study

_SMALL = {"embed_dim": 16, "num_heads": 2, "num_layers": 1, "pooling_head": 2, "patch_size": 640, "dropout": 0.0}
_SHORT = {"training": {"epochs": 1, "max_steps": 2, "batch_size": 8, "threads": 1}, "validation_windows": 8}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def tables(evaluation: Evaluation) -> dict[str, Table]:
    return {part.key: part for section in evaluation.sections for part in section.parts if isinstance(part, Table)}


def test_configurations_that_ship_are_valid() -> None:
    names = [name for name in shipped_configs() if name.startswith(("evaluate/", "protocols/", "demo/evaluate-"))]
    assert {"evaluate/mesa-staging", "protocols/leave-one-out-vs-pairwise", "demo/evaluate-probe"} <= set(names)
    task_of = {"protocols/leave-one-out-vs-pairwise": "retrieval", "protocols/probe-vs-end-to-end": "probe"}
    for name in names:
        task = task_of.get(name) or name.replace("/", "-").rsplit("-", 1)[-1]
        read_settings(EVALUATION_OF[task], name)


def test_an_external_cohort_is_converted_once_and_what_is_left_out_is_named(tmp_path: Path) -> None:
    cohort = make_shelf_cohort(tmp_path / "shelf")
    root = write_mesa(tmp_path / "mesa")
    nsrr_study(root, "", "mesa-sleep-0003", ("EEG1", "EEG2", "EOG-L", "EKG", "EMG", "Flow"))
    (root / "polysomnography/annotations-events-nsrr/mesa-sleep-0003-nsrr.xml").unlink()
    (root / "polysomnography/edfs/mesa-sleep-0004.edf").write_bytes(b"no recording")
    settings = EVALUATION_OF["staging"].model_validate(
        {
            "model": "stager",
            "data": {"source": "mesa", "root": str(root), "converted": str(tmp_path / "128hz")},
            "evaluation": {"resamples": 5, "smallest_group": 2, "groups": ["sex"]},
            "missing_channels": {"no EOG": ["EOG"]},
            "per_modality": False,
            "missing_modalities": False,
            "ecg_configurations": True,
            "threads": 1,
        }
    )
    found, _ = evaluate("staging", settings, tmp_path / "a", shelf=cohort.shelf, runs=cohort.runs)
    assert found.data.recordings == 2
    assert found.data.source.startswith("mesa (")
    assert "no scoring" in found.data.left_out["mesa-sleep-0003"]
    assert "mesa-sleep-0004" in found.data.left_out
    assert {"by_sex", "by_ecg_leads", "by_channels"} <= set(tables(found))
    assert [row[0] for row in tables(found)["by_channels"].rows] == ["all", "no EOG"]

    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "128hz").glob("*.hdf5")}
    assert len(made) == 2
    again, _ = evaluate("staging", settings, tmp_path / "b", shelf=cohort.shelf, runs=cohort.runs)
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert again.headline == found.headline
    other = settings.model_copy(update={"data": settings.data.model_copy(update={"root": write_mesa(tmp_path / "other")})})
    with pytest.raises(RequestError, match="holds another cohort"):
        evaluate("staging", other, tmp_path / "c", shelf=cohort.shelf, runs=cohort.runs)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight recordings of 5.5 min with made-up stages."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    studies = [f"s{number}" for number in range(8)]
    for number, study in enumerate(studies):
        write_study(folder / f"{study}.hdf5", montage=0, seed=number)
        write_scoring(Scoring(rng.permutation(np.arange(11) % 5).astype(np.int8)), folder / f"{study}.csv")
    lists = {"pretrain": studies[:2], "train": studies[2:5], "validation": studies[5:6], "test": studies[6:]}
    (folder / "splits.json").write_text(json.dumps(lists))
    return folder


def protocol(name: str, recordings: Path, **more: Any) -> Any:
    task = "retrieval" if "leave" in name else "probe"
    changes = {
        "data.signals": [str(recordings)],
        "data.splits": str(recordings / "splits.json"),
        "data.cohort": None,
        "evaluation": {"resamples": 5, "candidates": [2]},
        "pretrain.encoder": {"window_s": 30, "parameters": _SMALL},
        "pretrain.training": _SHORT["training"],
        "pretrain.validation_windows": 8,
        "threads": 1,
        **more,
    }
    return read_settings(EVALUATION_OF[task], name, [f"{key}={json.dumps(value)}" for key, value in changes.items()])


def test_leave_one_out_against_pairwise_trains_both_once(recordings: Path, tmp_path: Path) -> None:
    home = make_shelf_cohort(tmp_path / "shelf")
    settings = protocol("protocols/leave-one-out-vs-pairwise", recordings)
    found, _ = evaluate("retrieval", settings, tmp_path / "a", shelf=home.shelf, runs=home.runs)
    names = ["protocol-leave-one-out", "protocol-pairwise"]
    assert [row[0] for row in tables(found)["systems"].rows] == names
    assert [row[0] for row in tables(found)["probes"].rows] == names
    assert found.data.seen == ()
    cards = [home.shelf.get(name).card for name in names]
    assert [card.training_data.split(";")[1].strip().split(",")[0] for card in cards] == [
        "leave-one-out contrastive",
        "pairwise contrastive",
    ]
    written = {name: (home.shelf.get(name).folder / "weights.safetensors").stat().st_mtime_ns for name in names}
    again, _ = evaluate("retrieval", settings, tmp_path / "b", shelf=home.shelf, runs=home.runs)
    assert again.headline == found.headline
    assert written == {name: (home.shelf.get(name).folder / "weights.safetensors").stat().st_mtime_ns for name in names}
    changed = protocol("protocols/leave-one-out-vs-pairwise", recordings, **{"pretrain.training.seed": 9})
    with pytest.raises(RequestError, match="that other settings made"):
        evaluate("retrieval", changed, tmp_path / "c", shelf=home.shelf, runs=home.runs)


def test_a_frozen_probe_against_the_same_network_end_to_end(recordings: Path, tmp_path: Path) -> None:
    home = make_shelf_cohort(tmp_path / "shelf")
    rival = {"end_to_end.training": _SHORT["training"], "end_to_end.validation_windows": 8}
    settings = protocol("protocols/probe-vs-end-to-end", recordings, label_fractions=[0.7, 1.0], **rival)
    assert settings.end_to_end.encoder == settings.pretrain.encoder
    found, _ = evaluate("probe", settings, tmp_path / "out", shelf=home.shelf, runs=home.runs)
    rows = {row[0]: row for row in tables(found)["label_fractions"].rows}
    end_to_end = "the same network end to end"
    assert list(rows) == ["70 %, this model", "100 %, this model", f"70 %, {end_to_end}", f"100 %, {end_to_end}"]
    assert all(row[1] == 2 * 11 for row in rows.values())  # every system on the same 22 epochs
    assert home.shelf.get("protocol-end-to-end-70").card.task == "staging"

"""Pretraining runs: stopped and resumed, killed and resumed, in one process and in two, and what a run folder holds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from sleepfm.errors import Cancelled, ModelError, RequestError, SleepFMError
from sleepfm.models.networks import load_model
from sleepfm.models.shelf import Shelf
from sleepfm.training.pretraining import pretrain
from sleepfm.training.settings import PretrainSettings
from tests.training.conftest import Cohort, tiny, write_study


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _reports_of_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sleepfm.training.engine.REPORT_S", 0.0)  # so that a test can stop at a step of its choice


def _settings(cohort: Cohort, **training: object) -> PretrainSettings:
    return PretrainSettings.model_validate(tiny(cohort, **training))


def _losses(folder: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["train/loss"] for line in lines if "train/loss" in line}


def _stop_after(steps: int) -> Any:
    def progress(_fraction: float, message: str) -> None:
        if message.startswith("step ") and int(message.split()[1]) >= steps:
            raise Cancelled("enough")

    return progress


def test_a_run_ends_with_a_model_and_everything_that_made_it(cohort: Cohort, tmp_path: Path) -> None:
    outcome, about = pretrain(_settings(cohort), tmp_path / "run")
    assert (outcome.state, outcome.course.skipped) == ("finished", 0)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "config.yaml",
        "environment.json",
        "git.json",
        "metrics.jsonl",
        "state.json",
        "checkpoints",
        "tensorboard",
    }
    state = json.loads((tmp_path / "run" / "state.json").read_text())
    assert (state["state"], state["fraction"]) == ("finished", 1.0)
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["packages"]["torch"].startswith("2.")
    losses = _losses(tmp_path / "run")
    assert sorted(losses) == list(range(1, outcome.course.step + 1))
    entry = Shelf(tmp_path / "shelf").add("tiny", about["state"], about["card"])
    model = load_model(entry.folder)
    assert model.card.trained_on == "simulated"
    assert model.card.signals is not None
    assert model.card.signals.window_s == 30.0


def test_a_stopped_run_goes_on_as_if_it_had_never_stopped(cohort: Cohort, tmp_path: Path) -> None:
    settings = _settings(cohort, validate_every=3)
    _, whole = pretrain(settings, tmp_path / "whole")
    outcome, _ = pretrain(settings, tmp_path / "parts", progress=_stop_after(4))
    assert outcome.state == "stopped"
    stopped_at = outcome.course.step
    assert stopped_at < max(_losses(tmp_path / "whole"))
    outcome, parts = pretrain(settings, tmp_path / "parts", resume=True)
    assert outcome.state == "finished"
    assert _losses(tmp_path / "parts") == _losses(tmp_path / "whole")
    assert whole["state"].keys() == parts["state"].keys()
    assert all(torch.equal(tensor, parts["state"][name]) for name, tensor in whole["state"].items())


def test_a_killed_run_goes_on_from_its_last_checkpoint(cohort: Cohort, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(tiny(cohort, validate_every=2, epochs=3)), encoding="utf-8")
    words = [sys.executable, "-m", "sleepfm", "pretrain", str(config), "--out", str(tmp_path / "run"), "--resume", "--json"]
    words += ["--home", str(tmp_path / "home")]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(words, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        metrics = tmp_path / "run" / "metrics.jsonl"
        if (tmp_path / "run" / "checkpoints" / "last.pt").exists() and len(metrics.read_text().splitlines()) > 5:
            break
        time.sleep(0.02)
    assert process.poll() is None, process.stderr.read() if process.stderr else ""
    process.kill()
    process.communicate()
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["state"] == "finished"
    pretrain(_settings(cohort, validate_every=2, epochs=3), tmp_path / "whole")
    assert _losses(tmp_path / "run") == _losses(tmp_path / "whole")
    training = Shelf(tmp_path / "home" / "models").get("tiny").card.training
    assert training is not None
    assert training.subjects.keys() == {"train", "validation"}
    assert training.seconds is not None
    assert training.seconds > 0
    assert training.machine


def test_sigterm_writes_a_checkpoint_and_exits(cohort: Cohort, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(tiny(cohort, epochs=500)), encoding="utf-8")
    words = [sys.executable, "-m", "sleepfm", "pretrain", str(config), "--out", str(tmp_path / "run"), "--json"]
    process = subprocess.Popen(
        [*words, "--home", str(tmp_path / "home")], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True
    )
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (metrics.exists() and '"step": 3,' in metrics.read_text()):
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    made = json.loads(out)
    assert (made["state"], made["model"], process.returncode) == ("stopped", None, 1)
    assert (tmp_path / "run" / "checkpoints" / "last.pt").is_file()
    assert json.loads((tmp_path / "run" / "state.json").read_text())["state"] == "stopped"


def test_two_processes_equal_one(cohort: Cohort, tmp_path: Path) -> None:
    content = tiny(cohort, epochs=4, optimiser={"kind": "sgd", "learning_rate": 0.01, "schedule": "constant"})
    content["encoder"]["parameters"]["dropout"] = 0.0  # type: ignore[index]
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(content), encoding="utf-8")
    words = [sys.executable, "-m", "sleepfm", "pretrain", str(config), "--json", "--home", str(tmp_path / "home")]
    words += ["--out", str(tmp_path / "two"), "--devices", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(words, cwd=Path(__file__).parents[2], check=True, capture_output=True, env=environment)
    pretrain(PretrainSettings.model_validate(content), tmp_path / "one")
    one, two = _losses(tmp_path / "one"), _losses(tmp_path / "two")
    assert len(one) >= 20
    assert one.keys() == two.keys()
    for step in range(1, 21):
        assert two[step] == pytest.approx(one[step], rel=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"objective": {"kind": "pairwise", "same_night": "drop"}},
        {"objective": {"kind": "reconstruction"}},
        {"training": {"precision": "bf16"}},
        {
            "encoder": {
                "architecture": "EfficientNet1D",
                "parameters": {
                    "embed_dim": 16,
                    "patch_size": 3840,
                    "bas_channels": 10,
                    "resp_channels": 7,
                    "ekg_channels": 2,
                    "emg_channels": 4,
                    "width": 10,
                },
            }
        },
    ],
)
def test_objectives_and_precision(cohort: Cohort, tmp_path: Path, change: dict[str, Any]) -> None:
    content = tiny(cohort, epochs=1)
    for key, value in change.items():
        content[key] = {**content.get(key, {}), **value}  # type: ignore[dict-item]
    outcome, about = pretrain(PretrainSettings.model_validate(content), tmp_path / "run")
    assert outcome.course.skipped == 0
    assert all(torch.isfinite(tensor).all() for tensor in about["state"].values())


def test_training_starts_from_an_encoder_on_the_shelf(cohort: Cohort, tmp_path: Path) -> None:
    _, first = pretrain(_settings(cohort, epochs=1), tmp_path / "first")
    shelf = Shelf(tmp_path / "shelf")
    shelf.add("first", first["state"], first["card"])
    still = {**tiny(cohort, epochs=1, max_steps=1, optimiser={"learning_rate": 1e-12}), "start_from": "first"}
    _, second = pretrain(PretrainSettings.model_validate(still), tmp_path / "second", shelf=shelf)
    weights = {name for name in first["state"] if "running" not in name and "num_batches" not in name}
    assert all(torch.allclose(first["state"][name], second["state"][name], atol=1e-6) for name in weights)
    wider = {**tiny(cohort, epochs=1), "start_from": "first"}
    wider["encoder"]["parameters"]["embed_dim"] = 32  # type: ignore[index]
    with pytest.raises(ModelError, match=r"start_from: .* the weights do not fit"):
        pretrain(PretrainSettings.model_validate(wider), tmp_path / "third", shelf=shelf)
    with pytest.raises(RequestError, match="no model named 'nobody'"):
        pretrain(PretrainSettings.model_validate({**still, "start_from": "nobody"}), tmp_path / "fourth", shelf=shelf)


def test_the_temperature_follows_its_own_rate(cohort: Cohort, tmp_path: Path) -> None:
    content = tiny(cohort, epochs=1)
    content["objective"] = {"log_temperature": 1.0, "temperature_rate": 20.0}
    pretrain(PretrainSettings.model_validate(content), tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    seen = [line["train/log_temperature"] for line in lines if "train/log_temperature" in line]
    assert max(abs(a - b) for a, b in pairwise(seen)) > 0.02  # ten times what the others' rate would give
    assert min(seen) >= 0


def test_accumulated_batches_share_one_loss(cohort: Cohort, tmp_path: Path) -> None:
    pretrain(_settings(cohort, epochs=1, batch_size=4, accumulate=2), tmp_path / "run")
    queries = [
        json.loads(line)["train/queries"]
        for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
        if "train/loss" in line
    ]
    assert max(queries) > 2 * 4 * 4  # more than one batch of four windows with four modalities can ask


def test_patience_ends_a_run(cohort: Cohort, tmp_path: Path) -> None:
    settings = _settings(cohort, epochs=50, validate_every=1, patience=2, optimiser={"learning_rate": 1e-9})
    outcome, _ = pretrain(settings, tmp_path / "run")
    assert outcome.state == "finished"
    assert outcome.course.step < 50
    assert "no lower validation loss for 2 validations" in outcome.reason


def test_a_loss_that_is_no_number_ends_the_run_with_its_place(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sleepfm.training.pretext import ContrastiveLearner

    whole = ContrastiveLearner.outputs

    def broken(self: ContrastiveLearner, batch: Any) -> Any:
        return tuple(out * float("nan") for out in whole(self, batch)) if self.network.training else whole(self, batch)

    monkeypatch.setattr(ContrastiveLearner, "outputs", broken)
    with pytest.raises(ModelError, match=r"no number in 5 steps in a row \(last: step 5, recordings .*lower"):
        pretrain(_settings(cohort), tmp_path / "run")


def test_a_full_disk_leaves_the_last_good_checkpoint(cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sleepfm.training import checkpoints

    settings = _settings(cohort, validate_every=3)
    outcome, _ = pretrain(settings, tmp_path / "run", progress=_stop_after(3))
    before = (tmp_path / "run" / "checkpoints" / "last.pt").read_bytes()
    real = torch.save

    def full(_content: Any, path: Path) -> None:
        real({"half": 1}, path)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.torch, "save", full)
    with pytest.raises(SleepFMError, match="No space left on device"):
        pretrain(settings, tmp_path / "run", resume=True)
    monkeypatch.undo()
    assert (tmp_path / "run" / "checkpoints" / "last.pt").read_bytes() == before
    assert not list((tmp_path / "run" / "checkpoints").glob(".*"))
    outcome, _ = pretrain(settings, tmp_path / "run", resume=True)
    assert outcome.state == "finished"


def test_requests_that_cannot_be_met_are_one_line(cohort: Cohort, tmp_path: Path) -> None:
    def refused(change: dict[str, Any], kind: type[SleepFMError] = RequestError) -> str:
        content = tiny(cohort)
        for key, value in change.items():
            content[key] = {**content.get(key, {}), **value}  # type: ignore[dict-item]
        with pytest.raises(kind) as caught:
            pretrain(PretrainSettings.model_validate(content), tmp_path / f"run{len(list(tmp_path.iterdir()))}")
        assert "\n" not in str(caught.value)
        return str(caught.value)

    empty = tmp_path / "empty.json"
    empty.write_text(json.dumps({"pretrain": ["s0"], "validation": ["nobody"]}), encoding="utf-8")
    assert "no recording for validation" in refused({"data": {"splits": str(empty)}})
    assert "fewer than training.accumulate" in refused({"training": {"accumulate": 1000}})
    assert "unknown architecture" in refused({"encoder": {"architecture": "Transformer9000"}}, ModelError)

    pretrain(_settings(cohort, epochs=1), tmp_path / "there")
    with pytest.raises(RequestError, match="--resume"):
        pretrain(_settings(cohort, epochs=1), tmp_path / "there")
    with pytest.raises(RequestError, match="other settings"):
        pretrain(_settings(cohort, epochs=2), tmp_path / "there", resume=True)


def test_a_checkpoint_of_another_network_is_refused(cohort: Cohort, tmp_path: Path) -> None:
    pretrain(_settings(cohort, epochs=1), tmp_path / "run")
    content = tiny(cohort, epochs=1)
    content["encoder"]["parameters"]["embed_dim"] = 32  # type: ignore[index]
    other = PretrainSettings.model_validate(content)
    from sleepfm.training.config_files import as_yaml

    (tmp_path / "run" / "config.yaml").write_text(as_yaml(other), encoding="utf-8")
    with pytest.raises(ModelError, match="a checkpoint of another network"):
        pretrain(other, tmp_path / "run", resume=True)


def test_a_recording_that_breaks_during_training_is_named_in_the_metrics(cohort: Cohort, tmp_path: Path) -> None:
    for number, study in enumerate(cohort.studies):
        write_study(tmp_path / "signals" / f"{study}.hdf5", montage=number % 3, seed=number)
    moved = Cohort(tmp_path / "signals", cohort.splits, cohort.studies)

    def cut(_fraction: float, message: str) -> None:
        if message.startswith("step 1 "):
            with (moved.folder / "s1.hdf5").open("r+b") as file:
                file.truncate(20_000)

    pretrain(_settings(moved, epochs=3), tmp_path / "run", progress=cut)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    (named,) = [line for line in lines if "unreadable" in line]
    assert named["unreadable"] == "s1"
    assert named["windows"] > 0

"""Runs in every state: rows of the real table, and folders as a training run leaves them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from sleepfm.home import Home
from sleepfm.runs.run_files import run_folder
from sleepfm.runs.table import Job, JobState, JobTable, Lane
from sleepfm.training.config_files import as_yaml
from sleepfm.training.settings import PretrainSettings

START = 1_795_000_000.0
MODEL = {"model": "made-up", "best_validation_loss": 0.2441, "steps": 60, "seconds": 126.0}


def settings(name: str, **training: Any) -> PretrainSettings:
    """Return settings that a run could have been asked for."""
    content = {"name": name, "data": {"signals": ["/data/cohort"], "splits": "/data/splits.json"}, "training": training}
    return PretrainSettings.model_validate(content)


def metric_lines(steps: int, *, rate: float = 0.001, every: int = 20, first: int = 1, start: float = START) -> str:
    """Return metrics as the engine writes them: a loss that falls, and validations in between."""
    lines = []
    for step in range(first, first + steps):
        loss = 3.0 * math.exp(-step / 40) + 0.3 + 0.05 * math.sin(step)
        values = {
            "train/loss": loss,
            "train/gradient_norm": 1 + loss,
            "train/learning_rate": rate,
            "train/top1": 1 - loss / 4,
            "train/log_temperature": step / 100,
            "train/samples_per_second": 110 + 5 * math.cos(step),
        }
        at = {"step": step, "time": round(start + 2 * step, 3)}
        lines.append(json.dumps(at | values))
        if step % every == 0:
            lines.append(json.dumps(at | {"validation/loss": loss + 0.2, "validation/top1": 0.9 - loss / 4}))
    return "".join(f"{line}\n" for line in lines)


def write_folder(home: Home, job: Job, *, steps: int = 60, **metrics: Any) -> Path:
    """Write what a training run leaves in its folder."""
    folder = run_folder(home, job.id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.jsonl").write_text(metric_lines(steps, **metrics), encoding="utf-8")
    (folder / "config.yaml").write_text(as_yaml(job.parameters["config"]), encoding="utf-8")
    environment = {"sleepfm": "0.1.0", "machine": "night-desk", "cores": 8, "gpus": [], "packages": {"torch": "2.13.0"}}
    (folder / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    (folder / "git.json").write_text(json.dumps({"commit": "36ffe26", "changed": []}), encoding="utf-8")
    (folder / "log.txt").write_text("".join(f"step {step}: well\n" for step in range(1, steps + 1)), encoding="utf-8")
    state = {"state": "running", "fraction": 0.5, "message": f"step {steps}", "seconds_left": 95.0, "step": steps, "time": START}
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    return folder


def add_run(
    table: JobTable, name: str, state: JobState, *, kind: str = "pretrain", parent: str | None = None, **training: Any
) -> Job:
    """Add a training run and bring it to a state by the steps that the dispatcher and the worker take."""
    job = table.add(
        kind,
        lane=Lane.TRAIN_CPU,
        title=f"{'Pretrain' if kind == 'pretrain' else 'Fine-tune'} {name}",
        subject=name,
        parameters={"config": settings(name, **training).model_dump(mode="json"), "task": "staging"},
        submitted_by="ada",
        parent=parent,
    )
    return bring(table, job, state)


def bring(table: JobTable, job: Job, state: JobState) -> Job:
    """Bring a queued job to a state."""
    if state is JobState.QUEUED:
        return job
    # whoever waits in front would be claimed first: only this one may be waiting
    assert table.claim(job.lane, only=job.id) is not None
    table.report(job.id, 0.5, "step 60 of 120, epoch 1, loss 0.9700, 112.0 samples/s")
    ends: dict[JobState, dict[str, Any]] = {
        JobState.FINISHED: {"result": MODEL | {"model": job.subject or ""}},
        JobState.FAILED: {"error": "/data/cohort/n7.hdf5: cannot be read; leave it out or convert it again"},
        JobState.STOPPED: {"error": "stopped by the user"},
        JobState.CRASHED: {"error": "its process ended with code -9; last words: step 59: well step 60: well"},
    }
    if state in ends:
        table.end(job.id, state, **ends[state])
    return table.get(job.id)

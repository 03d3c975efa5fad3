"""What the page of runs says: pure functions from rows of the job table to words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

from sleepfm.runs.table import OPEN_STATES, TRAINING_KINDS, Job, JobState, Lane
from sleepfm.viewer.words import duration_words, time_left_words

KIND_WORDS: dict[str, str] = {
    "backup": "Backup",
    "batch": "Batch",
    "conversion": "Conversion",
    "curve": "Learning curve",
    "dataset": "Training data",
    "demo": "Demo study",
    "demo-cohort": "Demo cohort",
    "diagnostics": "Diagnostics",
    "embedding": "Embedding",
    "events": "Event scoring",
    "finetune": "Fine-tuning",
    "import": "Import",
    "index": "Index",
    "map": "Map",
    "model-fetch": "Model download",
    "model-import": "Model import",
    "preflight": "Preflight",
    "prepare": "Preparation",
    "pretrain": "Pretraining",
    "previews": "Previews",
    "report": "Report",
    "restore": "Restore",
    "retrieval": "Retrieval",
    "risk": "Risk",
    "stage": "Staging",
    "tidy": "Tidying up",
}
TONES: dict[JobState, str] = {
    JobState.QUEUED: "",
    JobState.RUNNING: "busy",
    JobState.FINISHED: "good",
    JobState.FAILED: "bad",
    JobState.STOPPED: "quiet",
    JobState.CRASHED: "bad",
}
BADGE_COLOURS: dict[JobState, Literal["gray", "blue", "green", "red"]] = {
    JobState.QUEUED: "gray",
    JobState.RUNNING: "blue",
    JobState.FINISHED: "green",
    JobState.FAILED: "red",
    JobState.STOPPED: "gray",
    JobState.CRASHED: "red",
}
LANE_WORDS: dict[Lane, str] = {
    Lane.QUICK: "short jobs run one at a time",
    Lane.HEAVY: "heavy jobs run one at a time",
    Lane.TRAIN_CPU: "on the processor one run trains at a time",
    Lane.TRAIN_CUDA: "on each GPU one run trains at a time",
    Lane.CLUSTER: "it is handed to the cluster next",
}
_RETIRED_KIND = "{} (unknown to this version)"


def kind_words(kind: str) -> str:
    """Return a kind of job as people call it; one that this version does not know keeps its own word."""
    return KIND_WORDS.get(kind) or _RETIRED_KIND.format(kind)


def is_training(job: Job) -> bool:
    """Tell whether a job is a training run: one with curves, settings and a model at its end."""
    return job.kind in TRAINING_KINDS


def ended_states(states: Iterable[JobState]) -> tuple[JobState, ...]:
    """Return those of the states that a run stays in."""
    return tuple(state for state in states if state not in OPEN_STATES)


def when_words(moment: datetime | None) -> str:
    """Return a moment in this machine's time: "2026-11-20 21:05"; a dash for none."""
    return "–" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M}"


def took_words(job: Job, now: datetime | None = None) -> str:
    """Return how long a job has run: up to now while it runs; a dash before it began."""
    if job.started_at is None:
        return "–"
    end = job.finished_at or now or datetime.now(UTC)
    return duration_words(max(0.0, (end - job.started_at).total_seconds()))


def where_words(job: Job) -> str:
    """Return where a job runs: "this machine, 2 devices", "Slurm job 1234"."""
    place = "this machine" if job.launcher == "local" else job.launcher.capitalize()
    if job.external is not None:
        place += f" job {job.external}"
    return place if job.devices == 1 else f"{place}, {job.devices} devices"


def state_words(job: Job, seconds_left: float | None = None) -> str:
    """Return where a job stands in one line.

    Parameters
    ----------
    seconds_left
        What is left while it runs (`runs_papers.seconds_left`).
    """
    if job.state is JobState.QUEUED:
        return f"Waiting for its turn: {LANE_WORDS[job.lane]}."
    if job.state is JobState.RUNNING:
        return _running_words(job, seconds_left)
    if job.started_at is None:
        return f"Taken out of the queue {when_words(job.finished_at)}."
    said = f"{job.state.value.capitalize()} {when_words(job.finished_at)} after {took_words(job)}"
    if job.state is JobState.FINISHED:
        return f"{said}."
    said += f" at {100 * job.progress:.0f} %"
    if job.state is JobState.CRASHED:
        return f"{said}: its process ended unexpectedly."
    kept = " The checkpoint is kept: it can be resumed." if job.state is JobState.STOPPED and is_training(job) else ""
    return f"{said}.{kept}"


def _running_words(job: Job, seconds_left: float | None) -> str:
    if job.kill_requested:
        return "Being killed."
    said = f"{job.message or 'starting'}{time_left_words(seconds_left)}"
    if not job.stop_requested:
        return said
    return f"Stopping: it writes a checkpoint first. {said}" if is_training(job) else f"Stopping. {said}"


def figures(job: Job) -> dict[str, Any]:
    """Return what a training run came to: its model's name, lowest validation loss, steps and seconds, where it has them."""
    result = job.result or {}
    wanted: dict[str, type | tuple[type, ...]] = {
        "model": str,
        "best_validation_loss": (int, float),
        "steps": int,
        "seconds": (int, float),
    }
    return {name: result[name] for name, kind in wanted.items() if isinstance(result.get(name), kind)}


def figure_words(job: Job) -> str:
    """Return a run's figures in a line: "lowest validation loss 0.2441 · 161 steps"; empty where there are none."""
    known = figures(job)
    said = []
    if "best_validation_loss" in known:
        said.append(f"lowest validation loss {known['best_validation_loss']:.4g}")
    if "steps" in known:
        said.append(f"{known['steps']:,} steps")
    return " · ".join(said)

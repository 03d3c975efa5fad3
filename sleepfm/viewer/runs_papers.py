"""What a run's folder says of it: settings, environment, the state of the software.

Whatever was done to the folder by hand is a remark, never an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sleepfm.home import Home
from sleepfm.runs.run_files import run_state
from sleepfm.runs.table import Job, JobState
from sleepfm.text import printable
from sleepfm.training.config_files import as_yaml
from sleepfm.viewer.runs_words import is_training

CONFIG_FILE, ENVIRONMENT_FILE, GIT_FILE = "config.yaml", "environment.json", "git.json"
MOST_BYTES = 200_000
"""Of a file that is read; what the software writes there is a hundredth of this."""


@dataclass(frozen=True)
class Papers:
    """What is written down about a run.

    Attributes
    ----------
    settings
        What was asked for, as nested keys; of a job that trains nothing its parameters.
    yaml
        The same as text, as it stands in the run's folder or, before that is there, as it was asked for.
    environment, git
        Where it runs; empty where nothing is written down yet.
    remarks
        What cannot be read, or is not what the run was asked for.
    """

    settings: Mapping[str, Any]
    yaml: str
    environment: Mapping[str, Any]
    git: Mapping[str, Any]
    remarks: tuple[str, ...]


def asked_settings(job: Job) -> dict[str, Any]:
    """Return what a job was asked for: a training run's settings, else its parameters."""
    config = job.parameters.get("config")
    return dict(config) if isinstance(config, dict) else dict(job.parameters)


def read_papers(home: Home, job: Job) -> Papers:
    """Read a run's folder; nothing there is trusted to be what the software wrote."""
    folder = home.runs / job.id
    remarks: list[str] = []
    asked = asked_settings(job)
    text = as_yaml(asked) if asked else ""
    there = _read(folder / CONFIG_FILE, _as_text, remarks)
    if there is not None and there != text:
        if asked and _same(there, asked):
            text = there
        else:
            remarks.append(
                f"{CONFIG_FILE} in the run's folder is not what the run was asked for: it was changed by hand."
                " Below stands what was asked for."
            )
    environment = _read(folder / ENVIRONMENT_FILE, _as_object, remarks)
    git = _read(folder / GIT_FILE, _as_object, remarks)
    return Papers(asked, text, environment or {}, git or {}, tuple(remarks))


def seconds_left(home: Home, job: Job) -> float | None:
    """Return what is left of a running job, in seconds; None where nothing tells.

    A training run says it itself, as it knows what an earlier attempt has done; of other jobs the pace so far tells.
    """
    if job.state is not JobState.RUNNING or job.started_at is None or not is_training(job):
        return job.seconds_left()
    said = run_state(home, job.id)
    if said is None or said.time is None or said.time < job.started_at.timestamp():
        return None  # nothing yet, or of the attempt before
    return said.seconds_left


def environment_rows(papers: Papers) -> list[tuple[str, str]]:
    """Return where a run was trained and with what, as pairs of words, safe to print."""
    rows: list[tuple[str, str]] = []
    for name, value in papers.environment.items():
        if isinstance(value, dict):
            rows.append((name, ", ".join(f"{key} {inner}" for key, inner in value.items())))
        elif isinstance(value, list):
            rows.append((name, " ".join(str(inner) for inner in value) or "none"))
        else:
            rows.append((name, str(value)))
    if papers.git:
        rows.append(("git commit", str(papers.git.get("commit", "not written down"))))
        changed = papers.git.get("changed")
        files = [str(one) for one in changed] if isinstance(changed, list) else []
        rows.append(("changed since that commit", ", ".join(files) or "nothing"))
    return [(printable(name).replace("_", " "), printable(value[:2000])) for name, value in rows]


def _same(text: str, asked: dict[str, Any]) -> bool:
    try:
        return bool(yaml.safe_load(text) == asked)
    except (yaml.YAMLError, ValueError, RecursionError):
        return False


def _read(path: Path, parse: Callable[[str], Any], remarks: list[str]) -> Any:
    """Return what a file holds, None when there is none or, with a remark, when it cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        remarks.append(f"{path.name} in the run's folder cannot be read ({error.strerror}).")
        return None
    try:
        if len(content) > MOST_BYTES:
            raise ValueError("larger than such a file can be")
        return parse(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        what = "not a text file" if isinstance(error, UnicodeDecodeError) else str(error)
        remarks.append(f"{path.name} in the run's folder cannot be read ({printable(what)[:120]}).")
        return None


def _as_text(text: str) -> str:
    return text


def _as_object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value

"""A run's folder: what was asked, where it ran, how it went, its checkpoints and what came out."""

from __future__ import annotations

import json
import math
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

import sleepfm
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.files import atomic_path
from sleepfm.training.config_files import as_yaml

CONFIG_FILE = "config.yaml"
METRICS_FILE = "metrics.jsonl"
STATE_FILE = "state.json"
_PACKAGES = ("torch", "numpy", "scipy", "h5py", "scikit-learn", "lifelines", "pandas")


class RunFolder:
    """The folder of one run. Only the process that leads writes to it.

    Parameters
    ----------
    path
        The folder; made when it is not there.
    settings
        What was asked for.
    resume
        Whether the run may go on from what is there.
    leads
        Whether this process writes.

    Raises
    ------
    RequestError
        When a run is there already and is not to be resumed, or it was asked for something else.
    """

    def __init__(self, path: Path, settings: BaseModel, *, resume: bool, leads: bool = True) -> None:
        self.path = path
        self._leads = leads
        self._board: Any = None
        there = path / CONFIG_FILE
        text = as_yaml(settings)
        if leads and there.exists():  # to the others it may be there because the one that leads was quicker
            if not resume:
                raise RequestError(f"{path}: a run is there already; go on with --resume, or choose another name or --out")
            if _text(there) != text:
                raise RequestError(
                    f"{path}: the run there was asked for other settings, or its {CONFIG_FILE} was changed since; resume it with"
                    " those, or choose another --out"
                )
        if not leads:
            return
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RequestError(f"{path}: cannot be made ({error.strerror}); choose another --out") from None
        if not there.exists():
            _write(path / "environment.json", json.dumps(environment(), indent=1))
            _write(path / "git.json", json.dumps(git_state(), indent=1))
            _write(there, text)

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are."""
        return self.path / "checkpoints"

    def log(self, step: int, values: dict[str, Any]) -> None:
        """Append a line to the metrics, and to TensorBoard what is a number."""
        if not self._leads:
            return
        line = {"step": step, "time": round(time.time(), 3)} | {name: _plain(value) for name, value in values.items()}
        try:
            with (self.path / METRICS_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")
        except OSError as error:
            raise SleepFMError(f"{self.path}: cannot be written ({error.strerror}); free disk space and resume the run") from None
        board = self._tensorboard()
        for name, value in line.items():
            if name not in ("step", "time") and isinstance(value, int | float) and not isinstance(value, bool):
                board.add_scalar(name, value, step)

    def forget_after(self, step: int) -> None:
        """Drop the metrics behind a step, which a resumed run will write again."""
        file = self.path / METRICS_FILE
        if not self._leads or not file.exists():
            return
        kept = [line for line, entry in self._lines() if entry["step"] <= step]
        _write(file, "".join(f"{line}\n" for line in kept))

    def state(self, **values: Any) -> None:
        """Write how the run stands, for whoever watches: state, fraction, message, seconds left, figures."""
        if self._leads:
            stamp = {"time": time.time(), "pid": os.getpid()}
            _write(self.path / STATE_FILE, json.dumps({name: _plain(value) for name, value in values.items()} | stamp))

    def metrics(self) -> list[dict[str, Any]]:
        """Return what was logged, in order."""
        return [entry for _, entry in self._lines()]

    def _lines(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give the lines that a run has written: not the half of one that a kill left, nor what a hand put there."""
        file = self.path / METRICS_FILE
        if not file.exists():
            return
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict) and isinstance(entry.get("step"), int | float):
                yield line, entry

    def close(self) -> None:
        """Let TensorBoard write what it still holds."""
        if self._board is not None:
            self._board.close()
            self._board = None

    def _tensorboard(self) -> Any:
        if self._board is None:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - takes a second to load

            self._board = SummaryWriter(str(self.path / "tensorboard"))
        return self._board


def environment() -> dict[str, Any]:
    """Return what the run depends on besides its settings."""
    return {
        "sleepfm": sleepfm.__version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "machine": socket.gethostname(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "packages": {name: metadata.version(name) for name in _PACKAGES},
        "command": sys.argv,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def git_state() -> dict[str, Any]:
    """Return the commit that the software stands at, and whether files differ from it; empty outside a repository."""
    root = Path(sleepfm.__file__).parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return {}
    changed = git("status", "--porcelain", "--", ".") or ""
    return {"commit": commit, "changed": [line[3:] for line in changed.splitlines()]}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise RequestError(f"{path}: cannot be read ({error.strerror}); put it back, or choose another --out") from None


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _plain(value: Any) -> Any:
    """Return a value that JSON holds: what is no number becomes null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value

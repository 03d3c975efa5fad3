"""What lies in a run's folder, read by those who watch: it may be half-written, or changed by hand, and never stops a page."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.text import printable

LOG_FILE = "log.txt"
STATE_FILE = "state.json"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MOST_STATE_BYTES = 1_000_000
_LAST_TIME = 253402300800.0
"""The year 10000: no calendar of Python's goes on."""
_BYTES_A_LINE = 1_000


@dataclass(frozen=True)
class RunState:
    """What the training process last said about itself; each is None where it did not say, or said it unreadably.

    Attributes
    ----------
    fraction
        Of the work that is done, 0 to 1.
    seconds_left
        By the pace so far.
    time
        When it was said, seconds since the epoch.
    state
        "running", or how it ended: "finished" or "stopped".
    pid
        Of the process that said it.
    remark
        Why the file could not be read, or empty.
    """

    fraction: float | None = None
    message: str | None = None
    seconds_left: float | None = None
    step: int | None = None
    time: float | None = None
    state: str | None = None
    pid: int | None = None
    remark: str = ""


def run_folder(home: Home, identifier: str) -> Path:
    """Return a run's folder, which need not be there (yet).

    Raises
    ------
    RequestError
        When this cannot be the id of a run.
    """
    if not _ID.fullmatch(identifier):
        raise RequestError(f"{printable(identifier[:100])!r} is no run's id; `sleepfm runs list` shows them all")
    return home.runs / identifier


def log_file(home: Home, identifier: str) -> Path:
    """Return where a job's output goes."""
    return run_folder(home, identifier) / LOG_FILE


def log_tail(home: Home, identifier: str, lines: int) -> str:
    """Return the last lines of what a job said, made printable; empty when it said nothing yet.

    Only the end of the file is read; a line longer than a screen's is cut in front.
    """
    try:
        with log_file(home, identifier).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - max(1, lines) * _BYTES_A_LINE)
            file.seek(start)
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"(the log cannot be read: {error.strerror or error})"
    # a progress bar overwrites its line: what was last written there counts
    said = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    if start > 0 and len(said) > 1:
        del said[0]  # its beginning was not read
    if said and not said[-1]:
        said.pop()
    return "\n".join(printable(line.expandtabs()) for line in said[-lines:]) if lines > 0 else ""


def run_state(home: Home, identifier: str) -> RunState | None:
    """Return what a run last said about itself, None when it has not said anything yet."""
    return state_in(run_folder(home, identifier))


def state_in(folder: Path) -> RunState | None:
    """Return what stands in a run's folder, as `run_state` does."""
    path = folder / STATE_FILE
    try:
        if path.stat().st_size > _MOST_STATE_BYTES:
            return RunState(remark=f"{path.name} is larger than it can be")
        said = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        return RunState(remark=f"{path.name} cannot be read ({error.strerror or error})")
    except (ValueError, RecursionError):
        return RunState(remark=f"{path.name} is not what a run writes; it was changed, or is being written")
    if not isinstance(said, dict):
        return RunState(remark=f"{path.name} is not what a run writes; it was changed by hand")
    fraction, seconds_left, step, time, pid = (
        _number(said.get(name)) for name in ("fraction", "seconds_left", "step", "time", "pid")
    )
    message, state = said.get("message"), said.get("state")
    return RunState(
        fraction=None if fraction is None else min(max(fraction, 0.0), 1.0),
        message=printable(message) if isinstance(message, str) else None,
        seconds_left=None if seconds_left is None else max(0.0, seconds_left),
        step=None if step is None else int(step),
        time=time if time is not None and 0 <= time < _LAST_TIME else None,
        state=state if state in ("running", "finished", "stopped") else None,
        pid=None if pid is None or pid < 1 else int(pid),
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None

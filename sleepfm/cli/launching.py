"""Work that is put into the queue instead of being done at once: `--launcher local` or `--launcher slurm`."""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from typing import Any

from sleepfm.cli.console import Console
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.launchers import LAUNCHERS
from sleepfm.runs.table import Job, JobState, JobTable

_LOOK_EVERY_S = 0.3
_SEE_TO_IT_S = 30.0


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Add `--launcher` and `--wait`."""
    parser.add_argument(
        "--launcher",
        choices=LAUNCHERS,
        help="put it into the queue, for this machine (local) or the Slurm cluster of the settings (slurm), and return",
    )
    parser.add_argument("--wait", action="store_true", help="with --launcher: wait for its end")


def require_no_wait(options: argparse.Namespace) -> None:
    """Refuse `--wait` where nothing is put into the queue."""
    if options.wait:
        raise RequestError("--wait is for what --launcher puts into the queue")


def queued(home: Home, job: Job, console: Console, *, wait: bool) -> dict[str, Any] | None:
    """Say that a job is in the queue and return None; or wait for its end and return its result.

    Raises
    ------
    SleepFMError
        When it was waited for and did not finish.
    """
    if not wait:
        made = {"job": job.id, "title": job.title, "state": job.state.value, "launcher": job.launcher}
        console.result(made, f"{job.id}: in the queue; `sleepfm runs show {job.id}` says how it stands")
        return None
    try:
        ended = _wait(home, job, console)
    except KeyboardInterrupt:
        raise SleepFMError(f"run {job.id} goes on; `sleepfm runs stop {job.id}` ends it") from None
    if ended.state is not JobState.FINISHED or ended.result is None:
        raise SleepFMError(f"run {job.id} {ended.state.value}: {ended.error}; `sleepfm runs logs {job.id}` says more")
    return ended.result


def _wait(home: Home, job: Job, console: Console) -> Job:
    seen_to = time.monotonic()
    with closing(JobTable(home)) as table:
        while (now := table.get(job.id)).open:
            console.progress(now.progress, now.message or now.state.value)
            if time.monotonic() - seen_to > _SEE_TO_IT_S:  # should the dispatcher have been killed meanwhile
                ensure_running(home)
                seen_to = time.monotonic()
            time.sleep(_LOOK_EVERY_S)
    return now

"""One job in its own process: `python -m sleepfm.runs.worker HOME JOB`.

Its output is the job's log. It ends the row itself; when it cannot (killed, out of memory), the dispatcher does. Where torchrun
starts several of it, the one of rank 0 speaks for all, and torchrun is the process that stands in the row.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from sleepfm.errors import Cancelled, SleepFMError
from sleepfm.home import Home, open_home
from sleepfm.progress import silent
from sleepfm.runs.kinds import function_of
from sleepfm.runs.processes import identity, mark_in, stand_back
from sleepfm.runs.submitter import work_for
from sleepfm.runs.table import Job, JobState, JobTable

_REPORT_EVERY_S = 0.25
_HARD_KINDS = ("conversion", "curve", "dataset", "embedding", "preflight")
"""Work for whole cohorts, and a trial of a training: like training, they stand back behind whoever waits for something."""
_END_PATIENCE_S = 600.0
"""How long a worker that is done waits for a full disk or a locked table: a row that cannot be closed would count as crashed."""
_END_AGAIN_S = 5.0
_ASKED_TO_END = "its process was asked to end, as when the machine is shut down"


class _RowProgress:
    """Writes progress to the job's row, at most a few times a second, and raises Cancelled when the job is to stop."""

    def __init__(self, table: JobTable, identifier: str, attempt: int) -> None:
        self._table = table
        self._identifier = identifier
        self._attempt = attempt
        self._last = 0.0
        self._message = ""

    def __call__(self, fraction: float, message: str) -> None:
        now = time.monotonic()
        if now - self._last < _REPORT_EVERY_S and message == self._message:
            return
        self._last, self._message = now, message
        try:
            stop = self._table.report(self._identifier, fraction, message, attempt=self._attempt)
        except SleepFMError as error:  # the disk is full, or the table locked: no reason to give up a night's work
            print(f"progress could not be told: {error}", flush=True)
            return
        if stop:
            raise Cancelled("asked to stop")


def _cancel(_signal: int, _frame: FrameType | None) -> None:
    raise Cancelled(_ASKED_TO_END)


def main(home_folder: str, identifier: str) -> int:
    """Run one claimed job; return 0 when it finished or was stopped, 1 when it failed or is not this process's to do."""
    home = open_home(Path(home_folder))
    table = JobTable(home)
    job = table.get(identifier)
    work_for(job.submitted_by)  # what it puts into the queue in its turn is for the same user
    signal.signal(signal.SIGTERM, _cancel)
    mark = mark_in(dict(os.environ))
    attempt = mark.attempt if mark is not None and mark.job == job.id else job.attempt
    if job.lane.trains or job.kind in _HARD_KINDS:
        stand_back()
    if int(os.environ.get("RANK", "0")) > 0:
        state, _, _ = _do(home, job, None)
        # a stop that all agreed on ends well; one that only this process heard of must not leave the others waiting
        return 1 if state is JobState.FAILED else 0
    pid = os.getppid() if "TORCHELASTIC_RUN_ID" in os.environ else os.getpid()
    if not table.set_process(job.id, pid, identity(pid), attempt=attempt):
        print(f"job {job.id} is not for this process (pid {os.getpid()}): it has ended, or another one works on it", flush=True)
        return 1
    print(f"job {job.id}, attempt {attempt}: {job.title} (pid {os.getpid()})", flush=True)
    state, result, error = _do(home, job, _RowProgress(table, job.id, attempt))
    if state is JobState.STOPPED:
        now = table.get(job.id)
        error = now.stop_words if now.stop_requested else _ASKED_TO_END
    deadline = time.monotonic() + _END_PATIENCE_S
    while True:
        try:
            table.end(job.id, state, result=result, error=error, attempt=attempt)
        except SleepFMError as trouble:
            print(f"{state.value}{f' ({error})' if error else ''}, but {trouble}", flush=True)
            if time.monotonic() > deadline:
                return 1  # the dispatcher closes the row when it can, with these last words
            time.sleep(_END_AGAIN_S)
        else:
            return 1 if state is JobState.FAILED else 0


def _do(home: Home, job: Job, progress: _RowProgress | None) -> tuple[JobState, dict[str, Any] | None, str | None]:
    """Do the work and return how it ended; from then on a request to stop comes too late."""
    try:
        result = function_of(job.kind)(home, job.parameters | {"job": job.id}, progress or silent)
    except Cancelled as stop:
        ending: tuple[JobState, dict[str, Any] | None, str | None] = (JobState.STOPPED, None, str(stop))
    except SleepFMError as error:
        print(error, flush=True)
        ending = (JobState.FAILED, None, str(error))
    except MemoryError:
        traceback.print_exc()
        ending = (JobState.FAILED, None, "out of memory; close other programs or use a machine with more")
    except Exception as error:
        traceback.print_exc()
        words = f"a defect of the software: {type(error).__name__}: {error} (see the log)"
        ending = (JobState.FAILED, None, words)
    else:
        ending = (JobState.FINISHED, result, None)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return ending


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))

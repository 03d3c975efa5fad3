"""One job in its own process: `python -m sleepfm.runs.worker HOME JOB`.

Its output is the job's log. It ends the row itself; when it cannot (killed, out of memory), the dispatcher does.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType

from sleepfm.errors import Cancelled, SleepFMError
from sleepfm.home import open_home
from sleepfm.runs.kinds import function_of
from sleepfm.runs.table import JobState, JobTable

_REPORT_EVERY_S = 0.25


class _RowProgress:
    """Writes progress to the job's row, at most a few times a second, and raises Cancelled when a stop was asked for."""

    def __init__(self, table: JobTable, identifier: str) -> None:
        self._table = table
        self._identifier = identifier
        self._last = 0.0
        self._message = ""

    def __call__(self, fraction: float, message: str) -> None:
        now = time.monotonic()
        if now - self._last < _REPORT_EVERY_S and message == self._message:
            return
        self._last, self._message = now, message
        if self._table.report(self._identifier, fraction, message):
            raise Cancelled("stopped by the user")


def _cancel(_signal: int, _frame: FrameType | None) -> None:
    raise Cancelled("stopped by the user")


def main(home_folder: str, identifier: str) -> int:
    """Run one claimed job; return 0 when it finished or was stopped, 1 when it failed."""
    home = open_home(Path(home_folder))
    table = JobTable(home)
    job = table.get(identifier)
    signal.signal(signal.SIGTERM, _cancel)
    print(f"job {job.id}: {job.title} (pid {os.getpid()})", flush=True)
    try:
        result = function_of(job.kind)(home, job.parameters, _RowProgress(table, identifier))
    except Cancelled as stop:
        table.end(identifier, JobState.STOPPED, error=str(stop))
    except SleepFMError as error:
        print(error, flush=True)
        table.end(identifier, JobState.FAILED, error=str(error))
        return 1
    except MemoryError:
        traceback.print_exc()
        table.end(identifier, JobState.FAILED, error="out of memory; close other programs or use a machine with more")
        return 1
    except Exception as error:
        traceback.print_exc()
        table.end(identifier, JobState.FAILED, error=f"a defect of the software: {type(error).__name__}: {error} (see the log)")
        return 1
    else:
        table.end(identifier, JobState.FINISHED, result=result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))

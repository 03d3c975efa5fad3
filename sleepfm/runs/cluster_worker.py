"""A job, or a part of one, on a node of a cluster. Submitit calls `work` in each task of the Slurm job.

It does what `sleepfm.runs.worker` does on the app's machine, but reports through files (see `sleepfm.runs.cluster_exchange`).
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType

import sleepfm
from sleepfm.errors import Cancelled, SleepFMError
from sleepfm.home import open_home
from sleepfm.runs.cluster_exchange import Exchange, Order
from sleepfm.runs.kinds import function_of
from sleepfm.runs.run_files import log_file
from sleepfm.runs.table import JobState

_REPORT_EVERY_S = 1.0
_LEAST_PORT, _PORTS = 20_000, 12_000


def work(folder: str, part: int | None) -> None:
    """Do the job whose order lies in a folder: all of it, or part number `part`. What fails ends the process with code 1."""
    wish = _Wish()
    signal.signal(
        signal.SIGTERM, wish.end
    )  # while a network is trained, the training has a handler of its own in this one's place
    signal.signal(signal.SIGUSR2, wish.end_at_time_limit)
    exchange = Exchange(Path(folder))
    rank = 0 if part is not None else int(os.environ.get("SLURM_PROCID", "0"))
    number = rank if part is None else part
    alone = int(os.environ.get("SLURM_NTASKS", "1")) == 1
    state, result, error, agreed = JobState.FAILED, None, None, True
    try:
        order = exchange.order()
        if part is None and rank == 0:
            _speak_into(log_file(open_home(order.home), order.job))
        result = _do(order, part, _FileProgress(exchange, number, wish, leads=rank == 0))
        state = JobState.FINISHED
    except Cancelled as stop:
        state, agreed = JobState.STOPPED, not isinstance(stop, _NotAgreedError)
        why = "the cluster's time limit was reached" if wish.of_time_limit else "the cluster asked it to end"
        error = f"{why} ({stop}): what was done is kept, and resuming goes on from there"
    except SleepFMError as failure:
        error = str(failure)
    except MemoryError:
        traceback.print_exc()
        error = "out of memory; ask for more in the settings of the cluster"
    except Exception as failure:
        traceback.print_exc()
        error = f"a defect of the software: {type(failure).__name__}: {failure} (see the log)"
    # the end itself is not to be interrupted
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    if error is not None:
        print(error, flush=True)
    if rank == 0 or state is JobState.FAILED:
        exchange.end(number, state, result=result, error=error)
    # A stop that the processes of a run agreed on ends well. One that only this process heard of, before they could agree, must
    # not leave the others waiting for it: Slurm ends them when one ends badly.
    if state is JobState.FAILED or not (agreed or alone):
        sys.exit(1)


def _do(order: Order, part: int | None, progress: _FileProgress) -> dict[str, object]:
    if order.version != sleepfm.__version__:
        raise SleepFMError(
            f"the nodes run SleepFM Workbench {sleepfm.__version__} and the app {order.version}: update one of them, or name"
            " another Python in the settings of the cluster"
        )
    if progress.exchange.overtaken():
        raise SleepFMError("a later attempt of this run was begun; this one does nothing")
    if order.tasks > 1:
        _meet()
    parameters = order.parameters | {"job": order.job} | ({} if part is None else {"part": part, "parts": order.parts})
    progress(0.0, "starting")
    return function_of(order.kind)(open_home(order.home), parameters, progress)


def _meet() -> None:
    """Tell the processes of a training run where they meet: on the first node, at a port that follows from the job's number."""
    from submitit import JobEnvironment  # noqa: PLC0415 - only where there is something to meet for

    environment = JobEnvironment()
    here = environment.num_nodes == 1
    os.environ["MASTER_ADDR"] = "127.0.0.1" if here else environment.hostnames[0]
    os.environ["MASTER_PORT"] = str(_LEAST_PORT + int(environment.raw_job_id) % _PORTS)


class _NotAgreedError(Cancelled):
    """A stop that reached one process."""


class _Wish:
    """What signals ask for, only noted: an exception out of a handler could come where a lock is taken, and hang the work."""

    to_end = False
    of_time_limit = False

    def end(self, _signal: int, _frame: FrameType | None) -> None:
        """Have the next report of progress end the work."""
        self.to_end = True

    def end_at_time_limit(self, _signal: int, _frame: FrameType | None) -> None:
        """Pass Slurm's warning before the time limit on, as SIGTERM, to whoever answers that now."""
        self.of_time_limit = True
        signal.raise_signal(signal.SIGTERM)


class _FileProgress:
    """Writes progress into a file about once a second, and raises Cancelled when a stop was asked for."""

    def __init__(self, exchange: Exchange, number: int, wish: _Wish, *, leads: bool) -> None:
        self.exchange = exchange
        self._wish = wish
        self._number = number
        self._leads = leads
        self._last = -_REPORT_EVERY_S

    def __call__(self, fraction: float, message: str) -> None:
        if not self._leads:
            return
        now = time.monotonic()
        if now - self._last >= _REPORT_EVERY_S:
            self._last = now
            self.exchange.advance(self._number, fraction, message)
            self._wish.to_end |= self.exchange.stop_asked()
        if self._wish.to_end:
            raise _NotAgreedError("stopped")


def _speak_into(log: Path) -> None:
    """Let what this process says go to the run's log, where everybody looks for it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())

"""Making the studies of a cohort in several processes, each study in one of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from threadpoolctl import threadpool_limits

from sleepfm.errors import SleepFMError
from sleepfm.progress import Progress
from sleepfm.simulation.cohort import Participant
from sleepfm.simulation.study_files import StudyFiles

_POLL_S = 0.5
_BUSY = threading.Lock()
"""Held by a worker while it makes a study."""


def make_in_processes(studies: Sequence[StudyFiles], jobs: int, progress: Progress) -> list[Participant]:
    """Make the studies, `jobs` at a time, and return their rows in the order of `studies`.

    Raises
    ------
    SleepFMError
        When the disk refuses, or a process dies.
    Cancelled
        `progress` raised it: the studies under way are finished and no more begun.
    """
    context = multiprocessing.get_context("spawn")  # forking a process with threads (BLAS, the web server) can hang
    made: dict[int, Participant] = {}
    with ProcessPoolExecutor(min(jobs, len(studies)), mp_context=context, initializer=_enter_worker) as pool:
        try:
            futures: dict[Future[Participant], int] = {pool.submit(_make, one): k for k, one in enumerate(studies)}
            running = set(futures)
            while running:
                finished, running = wait(running, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                for future in finished:
                    made[futures[future]] = future.result()
                progress(len(made) / len(studies), f"{len(made)} of {len(studies)} studies simulated")
        except BrokenProcessPool:
            raise SleepFMError(
                "a simulating process died, perhaps for want of memory; start the same command again with fewer --jobs:"
                " finished studies are kept"
            ) from None
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [made[k] for k in range(len(studies))]


def _enter_worker() -> None:
    """Prepare a worker: Ctrl-C is the parent's to answer, one thread a process, and nobody works on for a parent that is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        with _BUSY:  # the study under way is finished, so that nothing half-written is left
            os._exit(1)


def _make(study: StudyFiles) -> Participant:
    with _BUSY:
        return study.make(threads=1)

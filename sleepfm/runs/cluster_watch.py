"""Asking Slurm how jobs stand: squeue for those that wait or run, accounting for how the others ended.

The cluster may take seconds to answer, or not answer at all, so everything is asked and said from a thread of its own; whoever
polls gets the last answer. What submitit knows of a job's state lags by minutes, which is why it is not asked.
"""

from __future__ import annotations

import math
import re
import subprocess
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from sleepfm.errors import SleepFMError
from sleepfm.text import printable

_PATIENCE_S = 30.0
_LEAST_S = 0.2
WAITING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"})
_OPEN = WAITING | {"RUNNING", "COMPLETING", "SUSPENDED", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED"}


@dataclass(frozen=True)
class Standing:
    """How a Slurm job stands.

    Attributes
    ----------
    state
        Slurm's word: PENDING, RUNNING, COMPLETED, CANCELLED, TIMEOUT, …; UNKNOWN when it is not in the queue and accounting
        does not tell how it ended.
    reason
        Why it waits, or where it ran.
    exit_code
        As accounting writes it, code:signal.
    since
        When it was first seen in this state (monotonic seconds).
    """

    state: str
    reason: str = ""
    exit_code: str = ""
    since: float = 0.0

    @property
    def open(self) -> bool:
        """Whether it waits or runs."""
        return self.state in _OPEN

    @property
    def waits(self) -> bool:
        """Whether it has not begun, or is to begin again."""
        return self.state in WAITING


def slurm(*words: str) -> str:
    """Run a client of the cluster and return what it says.

    Raises
    ------
    SleepFMError
        It is not installed, fails, or does not answer in time; in one line.
    """
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=_PATIENCE_S, check=False)
    except FileNotFoundError:
        raise SleepFMError(
            f"{words[0]} was not found: install Slurm's commands on this machine, or start the app on a machine that has them"
        ) from None
    except OSError as error:
        raise SleepFMError(f"{words[0]} cannot be run here ({error.strerror})") from None
    except subprocess.TimeoutExpired:
        raise SleepFMError(f"the cluster did not answer {words[0]} within {_PATIENCE_S:.0f} s; try again later") from None
    if done.returncode != 0:
        said = said_by(done.stderr) or said_by(done.stdout) or f"code {done.returncode}"
        raise SleepFMError(f"{words[0]} failed: {said}")
    return done.stdout


def said_by(text: str) -> str:
    """Return what a client of the cluster complained about, each thing once, without its own name in front."""
    complaints = re.findall(r"^\w+: (?:error|fatal): (.+?)\.?\s*$", text, re.MULTILINE)
    lines = complaints or [line.strip() for line in text.splitlines() if line.strip()][:1]
    return printable("; ".join(dict.fromkeys(lines)))


class ClusterWatch:
    """Knows how the jobs stand that it was asked about; asks again when its answer is older than `every_s`."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="slurm")
        self._lock = threading.Lock()
        self._elements: dict[str, tuple[str, ...]] = {}
        self._known: dict[str, dict[str, Standing]] = {}
        self._asked_at = -math.inf
        self._asking: Future[None] | None = None
        self.trouble = ""
        """Why the cluster could not be asked the last time; empty when it answered."""

    def standing(self, job: str, elements: tuple[str, ...], *, every_s: float) -> dict[str, Standing] | None:
        """Return how a job stands, by element ("" for a job, "0", "1", … for those of an array); None before the first answer."""
        with self._lock:
            self._elements[job] = elements
            due = job not in self._known or time.monotonic() - self._asked_at >= every_s
            if due and (self._asking is None or self._asking.done()) and time.monotonic() - self._asked_at >= _LEAST_S:
                self._asked_at = time.monotonic()
                self._asking = self._pool.submit(self._noting_trouble, self._look)
            return self._known.get(job)

    def forget(self, job: str) -> None:
        """Ask no more about a job."""
        with self._lock:
            self._elements.pop(job, None)
            self._known.pop(job, None)

    def later(self, what: Callable[[], None]) -> None:
        """Do something with the cluster in turn, without waiting for it; a failure shows as `trouble`."""
        self._pool.submit(self._noting_trouble, what)

    def _noting_trouble(self, what: Callable[[], None]) -> None:
        try:
            what()
        except SleepFMError as error:
            self.trouble = str(error)
        except Exception as defect:  # in a thread nobody would hear of it, and the job would seem to wait for ever
            traceback.print_exc()
            self.trouble = f"a defect of the software: {type(defect).__name__}: {defect} (see dispatcher.log)"
        else:
            self.trouble = ""

    def _look(self) -> None:
        with self._lock:
            wanted = dict(self._elements)
        queue = read_queue(slurm("squeue", "--me", "--noheader", "--array", "--format=%F|%K|%T|%r"))
        gone = [job for job, elements in wanted.items() if any(element not in queue.get(job, {}) for element in elements)]
        ended = read_accounting(_accounting(gone)) if gone else {}
        with self._lock:
            for job, elements in wanted.items():
                found = {**ended.get(job, {}), **queue.get(job, {})}
                before = self._known.get(job, {})
                now = {element: _dated(found.get(element, Standing("UNKNOWN")), before.get(element)) for element in elements}
                if job in self._elements:
                    self._known[job] = now


def _accounting(jobs: list[str]) -> str:
    fields = "JobID,State,ExitCode,NodeList"
    try:
        return slurm(
            "sacct",
            "--noheader",
            "--parsable2",
            "--allocations",
            "--duplicates",
            f"--jobs={','.join(jobs)}",
            f"--format={fields}",
        )
    except SleepFMError as error:
        if "accounting storage is disabled" in str(error).lower():
            return ""
        raise


def read_queue(text: str) -> dict[str, dict[str, Standing]]:
    """Return what squeue said, by job and element."""
    found: dict[str, dict[str, Standing]] = {}
    for line in text.splitlines():
        job, element, state, reason = [*line.split("|", 3), "", "", ""][:4]
        found.setdefault(job, {})[element if element.isdecimal() else ""] = Standing(state, "" if reason == "None" else reason)
    return found


def read_accounting(text: str) -> dict[str, dict[str, Standing]]:
    """Return what sacct said, by job and element; of a job that was requeued, the last time counts."""
    found: dict[str, dict[str, Standing]] = {}
    for line in text.splitlines():
        identifier, state, code, nodes = [*line.split("|", 3), "", "", ""][:4]
        job, _, element = identifier.partition("_")
        if "[" in element:
            continue  # those of an array that still wait: the queue has them
        word = state.partition(" ")[0]  # "CANCELLED by 1000"
        # what the queue does not have has ended, also where accounting lags behind
        found.setdefault(job, {})[element] = Standing("UNKNOWN" if word in _OPEN else word, nodes, code)
    return found


def _dated(now: Standing, before: Standing | None) -> Standing:
    since = before.since if before is not None and before.state == now.state else time.monotonic()
    return Standing(now.state, now.reason, now.exit_code, since)

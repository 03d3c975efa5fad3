"""psgscoring in a process of its own: it can be ended at any moment, prints nothing on our stdout, and its memory goes with it.

It reports no progress. Its log tells which step begins; how far a step is, is estimated from how long such steps took
(`_SECONDS_AN_HOUR`, measured), and never said to be over before it is.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
import traceback
import warnings
from multiprocessing.connection import Connection
from typing import Any

from sleepfm.errors import RecordingError
from sleepfm.inference import psgscoring_engine as engine
from sleepfm.inference.event_signals import EEGS, FLOWS, LEGS
from sleepfm.inference.psgscoring_night import EngineEvents, EngineNight
from sleepfm.progress import Progress
from sleepfm.vocabulary import EPOCH_S

_START_S = 4.0
"""Loading MNE, scipy and psgscoring."""
_SECONDS_AN_HOUR = {
    engine.BREATHING: 1.2,
    engine.ARMS: 0.8,
    engine.CHANNELS: 0.8,
    engine.AROUSALS: 1.9,
    engine.DERIVATION: 2.1,
    engine.REST: 0.6,
    engine.AWAKE: 1.2,
    engine.MOVEMENTS: 0.5,
}
"""What each step takes for an hour of recording, on one core of a machine of 2024."""
_ASKS_EVERY_S = 0.2
_NEVER_OVER = 0.95
_ENDS_WITHIN_S = 5.0


def score_apart(night: EngineNight, *, name: str, progress: Progress) -> EngineEvents:
    """Score a night in a process of its own.

    Parameters
    ----------
    name
        What to call the recording in messages.
    progress
        May raise (Cancelled): the process is ended at once then.

    Raises
    ------
    RecordingError
        When psgscoring fails on the recording, or its process is ended (out of memory).
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), name="psgscoring", daemon=True)
    process.start()
    theirs.close()
    try:
        ours.send(night)
        return _followed(ours, _Pace(night), name, progress)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        process.join(_ENDS_WITHIN_S)
        raise RecordingError(
            f"{name}: psgscoring's process was ended (exit code {process.exitcode}); most often there was too little memory"
        ) from None
    finally:
        process.kill()
        process.join(_ENDS_WITHIN_S)
        ours.close()


def _followed(ours: Connection, pace: _Pace, name: str, progress: Progress) -> EngineEvents:
    while True:
        progress(pace.fraction(), pace.words())
        if not ours.poll(_ASKS_EVERY_S):
            continue
        what, said = ours.recv()
        if what == "step":
            pace.begin(said)
        elif what == "failed":
            words, where = said
            raise RecordingError(f"{name}: psgscoring failed on it ({words})") from RuntimeError(where)
        else:
            found: EngineEvents = said
            return found


class _Pace:
    """How far the work is, from the steps that have begun and how long steps take."""

    def __init__(self, night: EngineNight) -> None:
        hours = len(night.stages) * EPOCH_S / 3600
        eeg = sum(part in night.traces for part in EEGS)
        times = {engine.BREATHING: 1, engine.ARMS: 1, engine.AWAKE: 1} if any(p in night.traces for p in FLOWS) else {}
        times |= {engine.CHANNELS: 1, engine.REST: 1}
        times |= {engine.AROUSALS: 1, engine.DERIVATION: eeg} if eeg else {}
        times |= {engine.MOVEMENTS: 1} if any(part in night.traces for part in LEGS) else {}
        order = [step for step in _SECONDS_AN_HOUR for _ in range(times.get(step, 0))]
        self._steps = [("starting psgscoring", _START_S), *((step, _SECONDS_AN_HOUR[step] * hours) for step in order)]
        self._at = 0
        self._since = time.monotonic()

    def begin(self, step: str) -> None:
        """Note that a step begins: the next of its name; one that was not expected changes nothing."""
        ahead = range(self._at + 1, len(self._steps))
        self._at = next((k for k in ahead if self._steps[k][0] == step), self._at)
        self._since = time.monotonic()

    def fraction(self) -> float:
        """Return the share of the expected time that is over."""
        passed = sum(seconds for _, seconds in self._steps[: self._at])
        now = min(time.monotonic() - self._since, _NEVER_OVER * self._steps[self._at][1])
        return (passed + now) / sum(seconds for _, seconds in self._steps)

    def words(self) -> str:
        """Return what is being done."""
        return self._steps[self._at][0]


def _work(theirs: Connection) -> None:
    """Be the process: take a night, send the steps and what was found."""
    os.dup2(2, 1)  # what a library prints is no answer of ours
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started us ends us
    warnings.simplefilter("ignore")
    for name in [name for name in os.environ if name.startswith("PSGSCORING_")]:
        del os.environ[name]  # they change its rules, and nothing in what comes out would say so

    def send(what: str, said: Any) -> None:
        theirs.send((what, said))

    try:
        night: EngineNight = theirs.recv()
        found = engine.score_night(night, lambda step: send("step", step))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(1)  # nobody is left who wants to know
    except Exception as error:
        with contextlib.suppress(OSError):
            send("failed", (f"{type(error).__name__}: {error}", traceback.format_exc()))
    else:
        send("done", found)

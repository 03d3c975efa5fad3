"""Latencies that rest on a few epochs which nobody looked at: what a program takes for sleep or R while somebody falls asleep.

The latencies stay what AASM defines; what is said here is only which epochs are to be looked at before they are believed.
"""

from __future__ import annotations

import numpy as np

from sleepfm.analysis.night_span import NightSpan
from sleepfm.analysis.sleep_architecture import PERSISTENT_EPOCHS, asleep
from sleepfm.vocabulary import Stage

EARLY_REM_MIN = 15.0
"""R sooner after the first sleep is called sleep-onset R (ICSD-3: within 15 min), which is rare enough to be looked at."""
SHORT_RUN = 3
"""Epochs of sleep in a row; fewer, and the latency may rest on a stray one."""


def doubtful_onsets(stages_n: np.ndarray, span: NightSpan, looked_at_n: np.ndarray | None = None) -> dict[str, str]:
    """Return what is to be looked at before a latency is believed, a sentence by the key of the statistic; mostly nothing.

    Parameters
    ----------
    stages_n
        (n_epochs,) the scoring.
    span
        From lights off to lights on.
    looked_at_n
        (n_epochs,) epochs that a person set or confirmed; what rests on these is not asked about again.
    """
    sleep_n = asleep(stages_n) & span.inside_n
    if not sleep_n.any():
        return {}
    looked_n = np.zeros(len(stages_n), dtype=bool) if looked_at_n is None else looked_at_n
    onset = int(sleep_n.argmax())
    persistent = _first_run(sleep_n, PERSISTENT_EPOCHS)
    found: dict[str, str] = {}
    stop = _end_of_run(sleep_n, onset)
    if stop - onset < SHORT_RUN and not looked_n[onset:stop].any():
        found["sol"] = (
            f"Sleep latency rests on {_epochs(onset, stop)}, which nobody has looked at here, then Wake"
            f"{_before(onset, persistent, span)}: look there before it is believed."
        )
    rem_n = sleep_n & (stages_n == Stage.REM)
    if rem_n.any():
        first = int(rem_n.argmax())
        stop = _end_of_run(rem_n, first)
        minutes = float(span.starts_s[first] - span.starts_s[onset]) / 60.0
        if minutes < EARLY_REM_MIN and not looked_n[first:stop].any():
            found["rem_latency"] = (
                f"REM latency of {minutes:.1f} min rests on {_epochs(first, stop)}, which nobody has looked at here"
                f"{_before(first, persistent, span)}: look there before it is read as sleep-onset R."
            )
    return found


def _end_of_run(true_n: np.ndarray, first: int) -> int:
    """Return where the run that begins at `first` has ended."""
    rest = np.flatnonzero(~true_n[first:])
    return first + int(rest[0]) if len(rest) else len(true_n)


def _first_run(true_n: np.ndarray, length: int) -> int | None:
    """Return where the first run of at least so many begins; None where there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], true_n.astype(np.int8), [0]])))
    starts, stops = edges[::2], edges[1::2]
    long = np.flatnonzero(stops - starts >= length)
    return int(starts[long[0]]) if len(long) else None


def _epochs(first: int, stop: int) -> str:
    """Return 0-based epochs in the words of the viewer, which counts from 1."""
    count = stop - first
    return f"epoch {first + 1}" if count == 1 else f"epochs {first + 1} to {stop}"


def _before(first: int, persistent: int | None, span: NightSpan) -> str:
    if persistent is None:
        return ", in a night without persistent sleep"
    if first >= persistent:
        return ""
    return f", {float(span.starts_s[persistent] - span.starts_s[first]) / 60.0:.1f} min before persistent sleep"

"""How long work reports itself: one callable, passed down, called often.

It may raise `sleepfm.errors.Cancelled`; work that writes files must then leave none half-written.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with the fraction done (0 to 1) and a short text of what is being done."""

    def __call__(self, fraction: float, message: str) -> None:
        """Report, or raise Cancelled."""
        ...


def silent(fraction: float, message: str) -> None:
    """Report nothing."""


def part(progress: Progress, start: float, stop: float) -> Progress:
    """Return a progress whose 0 to 1 is `start` to `stop` of the given one."""

    def report(fraction: float, message: str) -> None:
        progress(start + (stop - start) * fraction, message)

    return report

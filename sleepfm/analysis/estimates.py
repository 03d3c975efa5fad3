"""A measured number as it is reported: with how much it rests on, its interval, and the reason where there is none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """One metric with its bootstrap interval over subjects.

    Attributes
    ----------
    value
        The metric on all the data; None where it is undefined.
    low, high
        Percentile interval over the resamples in which the metric is defined; None where there is none.
    n
        What was counted: epochs, recordings or queries, as the metric's name says.
    subjects
        People behind them.
    resamples
        Resamples in which the metric was defined, on which `low` and `high` rest.
    dropped
        Resamples left out because the metric was undefined in them.
    reason
        Why the value or the interval is missing, or what it leaves out; empty when nothing is to be said.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    subjects: int
    resamples: int = 0
    dropped: int = 0
    reason: str = ""

    def as_dict(self) -> dict[str, float | int | str | None]:
        """Return what goes into JSON: never NaN, an undefined number is null with its reason."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "subjects": self.subjects,
            "resamples": self.resamples,
            "dropped": self.dropped,
            "reason": self.reason,
        }


def undefined(reason: str, *, n: int, subjects: int) -> Estimate:
    """Return the estimate of a metric that these data do not define."""
    return Estimate(None, None, None, n, subjects, reason=reason)

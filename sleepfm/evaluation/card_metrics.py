"""The headline numbers in the form of a model card."""

from __future__ import annotations

from sleepfm.evaluation.evaluation import Evaluation


def card_metrics(evaluation: Evaluation) -> list[dict[str, str | float | int | None]]:
    """Return one card metric a headline: name, value, low, high, n, data, baseline.

    An undefined number is not in the list: a card has no room for its reason. `n` is people, on whom the interval rests.
    """
    data = tested_on(evaluation)
    found: list[dict[str, str | float | int | None]] = []
    for headline in evaluation.headline:
        estimate = headline.estimate
        if estimate.value is None:
            continue
        found.append(
            {
                "name": headline.name,
                "value": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
                "n": estimate.subjects,
                "data": data,
                "baseline": None if headline.baseline is None else headline.baseline.value,
            }
        )
    return found


def tested_on(evaluation: Evaluation) -> str:
    """Return what an evaluation was made on, in a line: source, recordings, people, and whether the encoder has seen them."""
    data = evaluation.data
    what = "simulated held-out" if evaluation.simulated else "held-out"
    if data.seen is None:
        what = "simulated, pretraining unknown" if evaluation.simulated else "pretraining unknown"
    elif data.seen and evaluation.settings.get("allow_seen"):
        what = "simulated, partly seen in pretraining" if evaluation.simulated else "partly seen in pretraining"
    source = f"{data.source}: " if data.source else ""
    return f"{source}{data.recordings} recordings of {data.subjects} people ({what})"

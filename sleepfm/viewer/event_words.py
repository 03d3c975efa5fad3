"""What is said of a set of events: who scored it, its rates, what was not scored and why, a second opinion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sleepfm.library.event_sets import StoredEvents

_RATES = {
    "ahi": "AHI",
    "rera_index": "RERA index",
    "odi3": "ODI 3 %",
    "odi4": "ODI 4 %",
    "arousal_index": "arousal index",
    "plmi": "PLM index",
}


def set_words(stored: StoredEvents) -> str:
    """Return one line: the engine, its rates per hour of sleep, and what was not scored.

    Rates are the engine's own, by the stages that it was given: the numbers of a review follow its own stages and events.
    """
    found: Mapping[str, Mapping[str, float | None]] = stored.provenance.get("indices") or {}
    rates = ", ".join(_rate(name, found[key]) for key, name in _RATES.items() if key in found)
    said = f"Events, {stored.label}: {stored.note}"
    if rates:
        said += f"; by these stages {rates} an hour of sleep"
    skipped: Mapping[str, str] = stored.provenance.get("skipped") or {}
    if skipped:
        said += "; not scored: " + "; ".join(f"{what} ({why})" for what, why in skipped.items())
    return said


def found_words(stored: StoredEvents, count: int) -> str:
    """Return a line to look up at from the traces: how many events an engine found or a file holds, and what was not scored."""
    verb = "holds" if "file_sha256" in stored.provenance else "found"
    skipped: Mapping[str, str] = stored.provenance.get("skipped") or {}
    said = f"{stored.label} {verb} {count:,} {'event' if count == 1 else 'events'}"
    return f"{said} (not scored: {', '.join(skipped)})" if skipped else said


def set_warnings(stored: StoredEvents) -> list[str]:
    """Return what has to be known before a set is believed, each a sentence; the second opinion last."""
    warnings = [str(warning) for warning in stored.provenance.get("warnings") or ()]
    second: Mapping[str, Any] | None = stored.provenance.get("breathing_model")
    if second:
        warnings += [str(warning) for warning in second["warnings"]]
        warnings.append(second_opinion(second))
    return warnings


def second_opinion(said: Mapping[str, Any]) -> str:
    """Return what a breathing head says of the night (`BreathingEstimate.as_dict`), with how well it did in its test."""
    severity, chance = max(said["severity"].items(), key=lambda one: one[1])
    words = (
        f"{said['model']} sees no events, but judges the night: AHI of at least 15 with a probability of"
        f" {100 * said['ahi_at_least_15']:.0f} %, most likely {severity} ({100 * chance:.0f} %)"
    )
    tested = [_metric(one) for one in said["metrics"] if one["name"].startswith("AHI")]
    return f"{words}; in its test {', '.join(tested)}." if tested else f"{words}; how well it does is not known."


def _rate(name: str, index: Mapping[str, float | None]) -> str:
    low, high = index.get("low"), index.get("high")
    interval = "" if low is None or high is None else f" ({low:.1f} to {high:.1f} by stricter and looser rules)"
    return f"{name} {index['value']:.1f}{interval}"


def _metric(one: Mapping[str, Any]) -> str:
    interval = "" if one["low"] is None or one["high"] is None else f", {one['low']:.2f} to {one['high']:.2f}"
    people = "" if one["n"] is None else f", n = {one['n']}"
    return f"{one['name']} {one['value']:.2f}{interval}{people}"

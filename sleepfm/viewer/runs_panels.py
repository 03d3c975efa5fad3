"""Which figures of a run are drawn together, under which name and unit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

TRAINING, VALIDATION = "training", "validation"


@dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes
    ----------
    key
        The figure's name in the run's metrics, without "train/" or "validation/".
    title, unit
        What stands above it.
    """

    key: str
    title: str
    unit: str


_KNOWN = (
    Panel("loss", "Loss", "no unit"),
    Panel("accuracy", "Accuracy", "share right, 0 to 1"),
    Panel("top1", "Top-1 retrieval", "share right, 0 to 1"),
    Panel("learning_rate", "Learning rate", "no unit"),
    Panel("log_temperature", "Log temperature", "natural log of the factor on the logits"),
    Panel("samples_per_second", "Speed", "samples/s"),
    Panel("device_use", "Device use", "%"),
    Panel("device_memory_mb", "Device memory", "MB"),
    Panel("gradient_norm", "Gradient norm", "no unit, before clipping"),
)
"""Shown without being asked for, in this order."""
MOST_OTHERS = 60
_ENDINGS = {"accuracy": "share right, 0 to 1", "top1": "share right, 0 to 1", "seconds": "s", "mb": "MB", "loss": "no unit"}


def split_name(name: str) -> tuple[str, str]:
    """Return a metric's figure and part: "validation/top1/BAS>EKG" is ("top1/BAS>EKG", "validation")."""
    for prefix, part in (("train/", TRAINING), ("validation/", VALIDATION)):
        if name.startswith(prefix):
            return name.removeprefix(prefix), part
    return name, ""


def panels(names: Iterable[str], *, every: bool) -> list[Panel]:
    """Return the charts for the metrics of these names: the known ones, then with `every` all others by name."""
    keys = {split_name(name)[0] for name in names}
    chosen = [panel for panel in _KNOWN if panel.key in keys]
    if every:
        known = {panel.key for panel in _KNOWN}
        chosen += [Panel(key, key.replace("_", " "), _unit(key)) for key in sorted(keys - known)[:MOST_OTHERS]]
    return chosen


def _unit(key: str) -> str:
    """Return the unit of a figure that is not in the list, as its name says; an unknown one is said to have none stated."""
    base = key.split("/", maxsplit=1)[0]
    for ending, unit in _ENDINGS.items():
        if base == ending or base.endswith(f"_{ending}") or base.startswith(f"{ending}_"):
            return unit
    return "unit not stated"

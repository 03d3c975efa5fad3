"""Several runs beside each other: the settings in which they differ, and what they came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from sleepfm.runs.table import Job
from sleepfm.text import printable
from sleepfm.viewer.runs_words import figures, took_words, when_words, where_words
from sleepfm.viewer.words import duration_words

MOST_COMPARED = 8
COLOURS = ("#2f6fab", "#c1671b", "#2e7d4f", "#8e3a8a", "#b3402a", "#5b6673", "#0f8b8d", "#a07d00")
"""Of the runs in a chart, apart in lightness as well as in hue."""
MOST_SETTINGS = 2000
_ABSENT = "not stated"


def run_names(jobs: Sequence[Job]) -> list[str]:
    """Return a short name for each run: its title, with the end of its id where two would be called the same."""
    titles = [job.title for job in jobs]
    return [printable(job.title if titles.count(job.title) == 1 else f"{job.title} {job.id.rsplit('-', 1)[-1]}") for job in jobs]


def flat(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return nested settings as dotted keys and words: {"training.epochs": "3"}; at most `MOST_SETTINGS` of them."""
    found: dict[str, str] = {}

    def walk(place: tuple[str, ...], value: Any) -> None:
        if len(found) >= MOST_SETTINGS:
            return
        if isinstance(value, Mapping) and value:
            for key, inner in value.items():
                walk((*place, str(key)), inner)
        else:
            found[".".join(place)] = _words(value)

    walk((), settings)
    return found


def differing(settings: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the settings that are not the same in all runs: rows {"Setting": key, <run>: value, …}.

    Parameters
    ----------
    settings
        Of each run, by the name it is shown with. The model's name always differs and is left out.
    """
    flats = {name: flat(one) for name, one in settings.items()}
    keys = dict.fromkeys(key for one in flats.values() for key in one)
    rows = []
    for key in keys:
        values = {name: one.get(key, _ABSENT) for name, one in flats.items()}
        if key != "name" and len(set(values.values())) > 1:
            rows.append({"Setting": printable(key)} | values)
    return rows


def figure_rows(jobs: Mapping[str, Job]) -> list[dict[str, str]]:
    """Return what the runs came to, a row a figure: {"Figure": name, <run>: words, …}."""
    known = {name: figures(job) for name, job in jobs.items()}

    def best(name: str) -> str:
        value = known[name].get("best_validation_loss")
        return "–" if value is None else f"{value:.4g}"

    def steps(name: str) -> str:
        value = known[name].get("steps")
        return "–" if value is None else f"{value:,}"

    def trained(name: str) -> str:
        value = known[name].get("seconds")
        return "–" if value is None else duration_words(value)

    rows = {
        "State": {name: f"{job.state.value}, {100 * job.progress:.0f} %" for name, job in jobs.items()},
        "Lowest validation loss (no unit)": {name: best(name) for name in jobs},
        "Steps": {name: steps(name) for name in jobs},
        "Time spent training": {name: trained(name) for name in jobs},
        "Time from start to end": {name: took_words(job) for name, job in jobs.items()},
        "Where": {name: where_words(job) for name, job in jobs.items()},
        "Queued": {name: when_words(job.created_at) for name, job in jobs.items()},
        "Model": {name: printable(str(known[name].get("model", "–"))) for name in jobs},
    }
    return [{"Figure": figure} | values for figure, values in rows.items()]


def _words(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple | dict):
        return printable(yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True).strip()[:500])
    return printable(str(value)[:500])

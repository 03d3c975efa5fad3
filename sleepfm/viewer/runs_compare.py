"""Several runs beside each other: the settings in which they differ, and what they came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from sleepfm.runs.table import Job
from sleepfm.text import printable
from sleepfm.viewer.runs_store import StoredCurves
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


def figure_rows(jobs: Mapping[str, Job], curves: Mapping[str, StoredCurves]) -> list[dict[str, str]]:
    """Return what the runs came to, or have come to so far, a row a figure: {"Figure": name, <run>: words, …}.

    Parameters
    ----------
    jobs, curves
        By the name that a run is shown with.
    """

    def each(words: Callable[[str, Job], str | None]) -> dict[str, str]:
        return {name: words(name, job) or "–" for name, job in jobs.items()}

    known = {name: figures(job) for name, job in jobs.items()}
    best = {name: known[name].get("best_validation_loss", curves[name].best_validation_loss) for name in jobs}
    steps = {name: known[name].get("steps", curves[name].steps) for name in jobs}
    rows = {
        "State": each(lambda _name, job: f"{job.state.value}, {100 * job.progress:.0f} %"),
        "Lowest validation loss (no unit)": each(lambda name, _: None if best[name] is None else f"{best[name]:.4g}"),
        "Steps": each(lambda name, _: None if steps[name] is None else f"{steps[name]:,}"),
        "Time spent training": each(lambda name, _: duration_words(known[name]["seconds"]) if "seconds" in known[name] else None),
        "Time from start to end": each(lambda _name, job: took_words(job)),
        "Where": each(lambda _name, job: printable(where_words(job))),
        "Queued": each(lambda _name, job: when_words(job.created_at)),
        "Model": each(lambda name, _: printable(str(known[name].get("model", "")))),
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

"""The list of runs and their curves as Streamlit components: mount the front end in `assets/runs`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

import streamlit as st

from sleepfm.home import Home
from sleepfm.runs.table import Job, JobState
from sleepfm.text import printable
from sleepfm.viewer.asset_urls import asset_url
from sleepfm.viewer.assets import app_folder, asset_text
from sleepfm.viewer.runs_compare import COLOURS
from sleepfm.viewer.runs_papers import seconds_left
from sleepfm.viewer.runs_routes import CURVES_PATH
from sleepfm.viewer.runs_words import (
    TONES,
    figure_words,
    is_training,
    kind_words,
    state_words,
    took_words,
    when_words,
    where_words,
)

VALIDATION_COLOUR = "#c1671b"
_LOADER = """
export default async function (component) {
  const { mount } = await import(new URL(component.data.module, window.location.origin).href);
  return mount(component);
}
"""


@cache
def _list_component() -> Any:
    return st.components.v2.component("sleepfm.run_list", css=asset_text("runs/list.css"), js=_LOADER)


@cache
def _curves_component() -> Any:
    return st.components.v2.component("sleepfm.run_curves", css=asset_text("runs/curves.css"), js=_LOADER)


def _base() -> str:
    return f"/{st.get_option('server.baseUrlPath').strip('/')}".rstrip("/")


def run_row(job: Job, left_s: float | None = None) -> dict[str, Any]:
    """Return what the list shows of one job, as words; `left_s` is what is left of it in seconds."""
    said = job.error if job.state in (JobState.FAILED, JobState.CRASHED) else ""
    if job.state is JobState.RUNNING:
        said = state_words(job, left_s)
    elif job.state is JobState.STOPPED and job.started_at is not None:
        said = f"at {100 * job.progress:.0f} %"
    return {
        "id": job.id,
        "href": f"runs?run={quote(job.id)}",
        "title": printable(job.title),
        "state": job.state.value,
        "tone": TONES[job.state],
        "progress": job.progress,
        "words": printable(said or ""),
        "kind": kind_words(job.kind),
        "queued": when_words(job.created_at),
        "by": printable(f"by {job.submitted_by}") if job.submitted_by else "",
        "took": took_words(job) if job.started_at else "",
        "where": printable(where_words(job)),
        "figures": figure_words(job) if is_training(job) else "",
        "note": printable(job.note[:120]),
        "archived": job.archived,
        "training": is_training(job),
        "canStop": job.open and not job.stop_requested,
    }


def run_list(home: Home, jobs: Sequence[Job], *, chosen: Collection[str], key: str) -> dict[str, Any] | None:
    """Draw the list and return what was clicked: {"action": open|stop|choose|leave, "run", "nonce"}.

    Parameters
    ----------
    chosen
        The runs that are to be compared.
    """
    clicked = _list_component()(
        key=key,
        data={
            "module": _base() + asset_url(app_folder() / "assets", "runs/list.js"),
            "rows": [run_row(job, seconds_left(home, job)) for job in jobs],
            "chosen": sorted(chosen),
        },
        on_action_change=lambda: None,
    )
    action: dict[str, Any] | None = clicked.action
    return action


def run_curves(jobs: Sequence[Job], *, key: str) -> None:
    """Draw the curves of one run or several; they keep themselves up to date while a run goes on.

    Parameters
    ----------
    key
        Of the component, which stays while the page runs again.
    """
    _curves_component()(
        key=key,
        data={
            "module": _base() + asset_url(app_folder() / "assets", "runs/curves.js"),
            "address": f"{_base()}{CURVES_PATH}?{urlencode([('run', job.id) for job in jobs])}",
            # a run that was resumed has curves to come again
            "stamp": " ".join(f"{job.attempt}{job.state}" for job in jobs),
            "colours": list(COLOURS),
            "validation": VALIDATION_COLOUR,
            "nothing": nothing_words(jobs),
        },
    )


def nothing_words(jobs: Sequence[Job]) -> str:
    """Return what stands where there are no curves yet."""
    if any(job.state is JobState.QUEUED for job in jobs):
        return "The curves begin with the first step: the run waits for its turn."
    if any(job.open for job in jobs):
        return "The curves begin with the first step; data and weights are being loaded."
    return "No step was made, so there are no curves."

"""Several training runs in one chart, with the settings in which they differ and what they came to."""

from __future__ import annotations

import streamlit as st

from sleepfm.errors import RequestError
from sleepfm.library.library import Library
from sleepfm.runs.table import Job
from sleepfm.text import plain, printable
from sleepfm.viewer.runs_compare import MOST_COMPARED, differing, figure_rows, run_names
from sleepfm.viewer.runs_components import run_curves
from sleepfm.viewer.runs_one import go
from sleepfm.viewer.runs_papers import asked_settings
from sleepfm.viewer.runs_store import curve_store
from sleepfm.viewer.runs_words import is_training


def show_compared(library: Library, identifiers: list[str]) -> None:
    """Draw the runs of these ids beside each other; those that cannot be compared are named."""
    jobs, problems = find(library, identifiers)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button("All runs", icon=":material/arrow_back:"):
            go()
        st.markdown(f"#### {len(jobs)} runs compared", width="content")
        for job, name in zip(jobs, run_names(jobs), strict=True):
            if st.button(plain(name), key=f"open {job.id}", icon=":material/open_in_new:", help=plain(f"Open {job.id}")):
                go(run=job.id)
    for problem in problems:
        st.error(plain(problem))
    if not jobs:
        st.info("Choose training runs in the list with the boxes at their left.", icon=":material/compare_arrows:")
        return
    run_curves(jobs, key="curves " + " ".join(job.id for job in jobs))
    by_name = dict(zip(run_names(jobs), jobs, strict=True))
    st.markdown("**What they came to**")
    store = curve_store(library.home)
    st.dataframe(figure_rows(by_name, {name: store.read(job.id) for name, job in by_name.items()}), hide_index=True)
    st.markdown("**Settings that differ**")
    rows = differing({name: asked_settings(job) for name, job in by_name.items()})
    if rows:
        st.dataframe(rows, hide_index=True)
    else:
        st.caption("None but the name.")


def find(library: Library, identifiers: list[str]) -> tuple[list[Job], list[str]]:
    """Return the training runs of these ids, and why the others are not compared."""
    jobs: list[Job] = []
    problems: list[str] = []
    for identifier in dict.fromkeys(identifiers):
        try:
            job = library.jobs.get(identifier)
        except RequestError as error:
            problems.append(str(error))
            continue
        if not is_training(job):
            problems.append(f"{printable(job.title)} is no training run and has no curves")
        elif len(jobs) == MOST_COMPARED:
            problems.append(f"At most {MOST_COMPARED} runs at once: {printable(job.title)} is left out")
        else:
            jobs.append(job)
    return jobs, problems

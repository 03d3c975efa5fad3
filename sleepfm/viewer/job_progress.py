"""How far a background job is, on a page: with the time left and a way to stop it."""

from __future__ import annotations

import streamlit as st

from sleepfm.home import Home
from sleepfm.library.library import Library
from sleepfm.runs.table import Job
from sleepfm.text import plain
from sleepfm.viewer.role_widgets import stop_button
from sleepfm.viewer.words import time_left_words


def show_progress(home: Home, job: Job, *, width: int | None = None) -> None:
    """Show an open job; the page runs again when it has ended.

    Parameters
    ----------
    width
        Of the bar in pixels, which then stands without the job's title; None: the whole row.
    """

    @st.fragment(run_every=1.0)
    def progress() -> None:
        with Library(home) as fresh:
            now = fresh.jobs.get(job.id)
            if not now.open:
                st.rerun()
            said = plain(f"{now.message or 'waiting'}{time_left_words(now.seconds_left())}")
            row = st.container(horizontal=True, vertical_alignment="center", width="stretch" if width is None else "content")
            if width is None:
                row.progress(now.progress, f"{plain(now.title)}: {said}")
            else:
                row.progress(now.progress, said, width=width)
            stop_button(fresh.jobs, now, place=row)

    if width is None:
        progress()
        return
    with st.container(width=width + 105):  # a fragment would take the whole row
        progress()

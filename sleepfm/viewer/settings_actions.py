"""What the parts of the settings page share: changing a setting as an admin, what to say afterwards, jobs that were started."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from sleepfm.administration.app_settings import change_settings
from sleepfm.errors import SleepFMError
from sleepfm.library.library import Library
from sleepfm.runs.table import Job, JobState
from sleepfm.text import plain
from sleepfm.viewer.job_progress import show_progress
from sleepfm.viewer.signed_in import User, acting

_SAID = "settings said"
_LATELY = timedelta(days=1)


def change(library: Library, what: str, said: str, *, detail: dict[str, Any] | None = None, **changes: Any) -> None:
    """Change settings as the admin who is here, and say how that went on the next run of the page.

    Parameters
    ----------
    detail
        For the audit log, where the values themselves may hold a secret; None: the values.
    """
    written = changes if detail is None else detail
    act(library, "change settings", what, said, lambda _user: change_settings(library.home, **changes), detail=written)


def act(
    library: Library,
    action: str,
    subject: str,
    said: str,
    does: Callable[[User], object],
    *,
    detail: dict[str, Any] | None = None,
) -> None:
    """Do what only an admin may, with its line in the audit log, and say how that went on the next run of the page."""
    try:
        with acting(library, action, subject, detail) as user:
            does(user)
    except SleepFMError as error:
        st.session_state[_SAID] = ("error", str(error))
    else:
        st.session_state[_SAID] = ("success", said)
    st.rerun()


def show_said() -> None:
    """Show what the last action had to say."""
    kind, text = st.session_state.pop(_SAID, ("", ""))
    if text:
        (st.error if kind == "error" else st.success)(plain(text))


def show_job(library: Library, kind: str, done: Callable[[Job], None]) -> bool:
    """Show the last job of a kind: how far it is, what went wrong lately, or what `done` says of it; whether it is open."""
    job = next(iter(library.jobs.list(kinds=(kind,), limit=1)), None)
    if job is None:
        return False
    if job.open:
        show_progress(library.home, job)
        return True
    lately = job.finished_at is not None and datetime.now(UTC) - job.finished_at < _LATELY
    if lately and job.state is JobState.FINISHED:
        done(job)
    elif lately and job.state is JobState.STOPPED:
        st.info(plain(f"{job.title}: stopped; nothing half-written was left."))
    elif lately:
        st.error(plain(f"{job.title}: {job.error}"))
    return False

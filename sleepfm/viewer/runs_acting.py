"""What an admin does to runs: each action checks the role, writes the audit log, and says how it went."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from sleepfm.errors import SleepFMError
from sleepfm.library import training_runs
from sleepfm.library.library import Library
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import Job
from sleepfm.text import plain
from sleepfm.viewer.runs_words import is_training
from sleepfm.viewer.signed_in import User, acting

_MESSAGES = "runs messages"


def say(kind: str, text: str) -> None:
    """Keep a message for the next run of the page, so that it outlives the rerun that an action ends with."""
    st.session_state.setdefault(_MESSAGES, []).append((kind, text))


def show_messages() -> None:
    """Show what the last action had to say."""
    for kind, text in st.session_state.pop(_MESSAGES, []):
        {"error": st.error, "info": st.info, "success": st.success}[kind](plain(text))


def stop(library: Library, job: Job) -> None:
    """Ask a run to stop: a training run writes a checkpoint first, one that waits leaves the queue."""
    if _done(library, "stop run", job, lambda _user: library.jobs.request_stop(job.id)):
        ensure_running(library.home)  # it is the dispatcher that passes the wish on; the last one may have been killed


def kill(library: Library, job: Job) -> None:
    """Have a run ended at once."""
    if _done(library, "kill run", job, lambda _user: library.jobs.request_kill(job.id)):
        ensure_running(library.home)


def resume(library: Library, job: Job) -> None:
    """Queue a run again."""
    if _done(library, "resume run", job, lambda user: training_runs.resume(library.jobs, job.id, submitted_by=user.name)):
        ensure_running(library.home)
        say("success", f"{job.title} goes on from its last checkpoint." if is_training(job) else f"{job.title} is queued again.")


def annotate(library: Library, job: Job, note: str) -> None:
    """Keep a note with a run."""
    if _done(library, "annotate run", job, lambda _user: library.jobs.annotate(job.id, note.strip())):
        say("success", "The note is kept.")


def archive(library: Library, job: Job, *, archived: bool) -> None:
    """Put a run away, or bring it back."""
    action = "archive run" if archived else "bring run back"
    if _done(library, action, job, lambda _user: library.jobs.archive(job.id, archived=archived)):
        say("info", f"{job.title} is {'put away: “Archived” in the list shows it' if archived else 'back in the list'}.")


def _done(library: Library, action: str, job: Job, work: Callable[[User], object]) -> bool:
    try:
        with acting(library, action, job.id, {"kind": job.kind, "title": job.title}) as user:
            work(user)
    except SleepFMError as error:
        say("error", str(error))
        return False
    return True

"""Buttons for what not everybody may do: shown to all, pressed by those of the role, checked on the server."""

from __future__ import annotations

from typing import Any

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.runs.table import Job, JobTable
from sleepfm.viewer.signed_in import current_user, require

_SCORERS_KINDS = frozenset({
    "batch", "demo", "demo-cohort", "events", "import", "index", "map", "prepare", "report", "retrieval", "risk", "stage",
})  # fmt: skip
"""Jobs that a scorer may start and stop; all others belong to admins."""


def may(role: Role) -> bool:
    """Whether the user of the page that runs now may do what asks for a role."""
    return current_user().may(role)


def action_button(label: str, *, role: Role = Role.SCORER, place: Any = st, disabled: bool = False, **options: Any) -> bool:
    """Draw a button that acts, and return whether somebody who may has pressed it.

    Parameters
    ----------
    place
        The column or container to draw it in.
    """
    allowed = may(role)
    if not allowed:
        options["help"] = _words(role)
    # whether it can be pressed is the browser's affair; whether that counts is decided here
    pressed = place.button(label, disabled=disabled or not allowed, **options)
    return bool(pressed) and allowed


def export_button(label: str, data: Any, *words: Any, disabled: bool = False, **options: Any) -> None:
    """Draw a button that takes results out of the app; the file is made only for those who may have it."""
    if may(Role.SCORER):
        st.download_button(label, data, *words, disabled=disabled, **options)
    else:
        names = ("file_name", "mime")
        kept = {name: value for name, value in options.items() if name not in (*names, "on_click", "help")}
        st.button(label, disabled=True, help=_words(Role.SCORER), **kept)


def stop_job(table: JobTable, identifier: str) -> None:
    """Ask a job to stop, when its user may."""
    require(_role_for(table.get(identifier)))
    table.request_stop(identifier)


def stop_button(table: JobTable, job: Job, *, place: Any = st) -> None:
    """Draw the button that stops a job."""
    if action_button("Cancel", role=_role_for(job), place=place, key=f"stop {job.id}"):
        stop_job(table, job.id)


def _role_for(job: Job) -> Role:
    return Role.SCORER if job.kind in _SCORERS_KINDS else Role.ADMIN


def _words(role: Role) -> str:
    return f"For this the role “{role}” is needed; an administrator can change yours."

"""Settings: how long things are kept, and tidying up after a look at the list."""

from __future__ import annotations

import streamlit as st

from sleepfm.administration.app_settings import AppSettings, Retention
from sleepfm.administration.retention import old_things
from sleepfm.administration.safety_jobs import submit_tidy
from sleepfm.library.library import Library
from sleepfm.runs.table import Job
from sleepfm.text import plain, size_words
from sleepfm.viewer.settings_actions import act, change, show_job
from sleepfm.viewer.settings_words import old_rows, things_words

_LOOKING = "settings tidy"


def show_tidy(library: Library, settings: AppSettings) -> None:
    """Show for how long things are kept, what is older, and remove it when asked to."""
    st.caption("Nothing goes by itself. Studies, scorings, edits, models and reports are never on the list, signed or not.")
    with st.form("retention", border=False):
        columns = st.columns(4)
        days = {
            name: column.number_input(
                f"{field.title} (days)", 1, 36_500, getattr(settings.retention, name), key=f"keep {name}", help=field.description
            )
            for column, (name, field) in zip(columns, Retention.model_fields.items(), strict=True)
        }
        if st.form_submit_button("Save"):
            st.session_state[_LOOKING] = True
            change(library, "retention", "Saved.", detail=days, retention=Retention(**days))
    if show_job(library, "tidy", _show_done):
        return
    if st.button("Look what is older", icon=":material/search:"):
        st.session_state[_LOOKING] = True
    if not st.session_state.get(_LOOKING):
        return
    things = old_things(library.home)
    if not things:
        st.info("Nothing is older than that.", icon=":material/check:")
        return
    st.dataframe(old_rows(things), hide_index=True, height=min(320, 36 + 35 * len(things)))
    total = size_words(sum(thing.bytes for thing in things))
    many = things_words(len(things))
    sure = st.checkbox(
        f"I have looked at the list: {many}, {total}. They cannot be brought back but from a backup.", key="tidy sure"
    )
    if st.button(f"Remove {many}", disabled=not sure, icon=":material/delete:"):
        del st.session_state[_LOOKING]
        names = [thing.name for thing in things]
        act(
            library,
            "remove old things",
            "",
            f"Removing {many}.",
            lambda user: submit_tidy(library.home, names, submitted_by=user.name),
            detail={"things": len(names), "bytes": sum(thing.bytes for thing in things)},
        )


def _show_done(job: Job) -> None:
    done = job.result or {}
    kept = f"; {len(done['kept'])} stayed, since they are in use or newer now" if done["kept"] else ""
    st.caption(plain(f"Last time {things_words(done['gone'])} went, {size_words(done['bytes'])}{kept}."))

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from sleepfm.administration.app_settings import read_settings
from sleepfm.administration.readable_folders import require_readable
from sleepfm.administration.roles import Role
from sleepfm.errors import SleepFMError
from sleepfm.library.engines import engine_choices
from sleepfm.library.jobs import submit_folder_import, submit_staging, submit_study
from sleepfm.library.library import Library
from sleepfm.library.scorings_beside import files_beside, scoring_beside
from sleepfm.library.study import ORDERS
from sleepfm.models.shelf import Shelf
from sleepfm.runs.table import OPEN_STATES
from sleepfm.text import plain, printable
from sleepfm.viewer.role_widgets import may, stop_button, stop_job
from sleepfm.viewer.signed_in import require
from sleepfm.viewer.study_list import drop_zone, study_list
from sleepfm.viewer.uploads import UPLOAD_PATH
from sleepfm.viewer.words import duration_words

ROWS = 25
PATH, ADDED = "recording path", "recording added"


def say(kind: str, text: str) -> None:
    """Keep a message for the next run, so that it outlives the rerun that an action ends with."""
    st.session_state.setdefault("messages", []).append((kind, text))


def add(library: Library, text: str, *, stage: bool) -> bool:
    """Add the recording or folder that was typed, and return whether that could be done."""
    require(Role.SCORER)
    if not text.strip():
        say("warning", "Type the path of a recording (EDF, BDF) or of a folder that holds some.")
        return False
    typed = text.strip().strip('"')
    try:
        require_readable(library.home, typed)  # before anything is looked at there
        path = Path(typed).expanduser()
        if path.is_dir():
            submit_folder_import(library.home, path, stage=stage)
            say("info", f"Looking through {path} in the background; studies appear below as they are found.")
        else:
            study = library.add(path)
            beside = scoring_beside(library, study, files_beside([study.path]).get(study.path, ()))
            submit_study(library, study.id, stage=stage, scoring=beside.scoring)
            say("success", f"Added {study.id}{f' with the scoring {beside.scoring.name}' if beside.scoring else ''}.")
            for _, why in beside.said:
                say("warning", why)
    except SleepFMError as error:
        say("error", str(error))
        return False
    return True


def act(library: Library, action: dict[str, Any]) -> None:
    """Do what was clicked in the list."""
    if action["action"] == "open":
        st.switch_page("pages/review.py", query_params={"study": action["study"]})
    require(Role.SCORER)  # the list's own buttons are drawn in the browser
    try:
        if action["action"] == "stage":
            submit_staging(library, action["study"])
        elif action["action"] == "try":
            submit_staging(library, action["study"], engine="sleepfm", model=action["model"])
        elif action["action"] == "read again":
            study = library.add(library.study(action["study"]).path)
            submit_study(library, study.id, stage=False)
        elif action["action"] == "cancel":
            stop_job(library.jobs, action["job"])
        elif action["action"] == "remove":
            library.remove(action["study"])
            say("info", f"Took {action['study']} off the list; the recording itself was not touched.")
    except SleepFMError as error:
        say("error", str(error))


def show_messages() -> None:
    """Show what the last action had to say."""
    for kind, text in st.session_state.pop("messages", []):
        {"error": st.error, "warning": st.warning, "info": st.info, "success": st.success}[kind](plain(text))


def show_imports(library: Library) -> None:
    """Show folder imports: running ones with progress, and what the last one could not read."""
    for job in library.jobs.list(kinds=("import", "demo"), limit=1):
        if job.open:
            left = job.seconds_left()
            words = f"{job.title}: {job.message or 'waiting'}" + ("" if left is None else f", {duration_words(left)} left")
            bar, stop = st.columns([6, 1])
            bar.progress(job.progress, plain(words))
            stop_button(library.jobs, job, place=stop)
        elif job.error:
            st.error(plain(f"{job.title}: {job.error}"))
        elif job.result is not None and job.result["failed"]:
            left_out = len(job.result["failed"])
            with st.expander(plain(f"{job.title}: {left_out} {'file' if left_out == 1 else 'files'} to look at")):
                st.dataframe(
                    [{"File": printable(one["file"]), "Why": printable(one["error"])} for one in job.result["failed"]],
                    hide_index=True,
                )


def show_list(library: Library) -> None:
    """Show one page of the list, kept up to date while there is work going on."""
    total = library.count()
    busy = bool(library.jobs.list(states=OPEN_STATES, limit=1))
    trial = next((one.model for one in engine_choices(Shelf(library.home.models)) if one.simulated), None)
    search, order, page, found = "", next(iter(ORDERS)), 1, total
    if total:
        left, middle, right = st.columns([4, 2, 2], vertical_alignment="bottom")
        search = left.text_input(
            "Search", placeholder="Search: part of a name or folder", key="search", label_visibility="collapsed"
        )
        order = middle.selectbox("Sort", list(ORDERS), key="order", label_visibility="collapsed")
        found = library.count(search)
        pages = max(1, -(-found // ROWS))
        if pages > 1:
            page = right.number_input(f"Page (of {pages})", 1, pages, 1, key="page")

    @st.fragment(run_every=1.0 if busy else None)
    def rows() -> None:
        with Library(library.home) as fresh:
            still_busy = bool(fresh.jobs.list(states=OPEN_STATES, limit=1))
            with st.container():  # what comes and goes has a place of its own: the list below must not be mounted anew
                show_imports(fresh)
            if total:
                studies = fresh.studies(search=search, order=order, limit=ROWS, offset=(page - 1) * ROWS)
                action = study_list(studies, key="list", trial=trial, acting=may(Role.SCORER))
                if action is not None and action["nonce"] != st.session_state.get("handled"):
                    st.session_state["handled"] = action["nonce"]
                    act(fresh, action)
                    st.rerun()
            elif not busy:
                st.info(
                    "No studies yet. Type the path of a recording above, or drop a file into the box.", icon=":material/bedtime:"
                )
            # after the list: what was clicked in it comes with this run only, and must not be lost with it
            if busy != still_busy or bool(total) != bool(fresh.count()):
                st.rerun()  # the first study has come, or the work is done: stop asking every second

    rows()
    if total and not found:
        st.caption(f"Nothing matches “{plain(search)}” among {total} studies.")
    elif found > ROWS:
        st.caption(f"{found} studies")


def say_how_uploads_are_stored(library: Library) -> None:
    """Say below the box when what is dropped there does not stay as it is."""
    try:
        how = read_settings(library.home).uploads
    except SleepFMError as error:
        st.error(plain(str(error)))
        return
    if how != "as they are":
        st.caption(f"Dropped files are stored {how} and under a new name; files named by their path stay as they are.")


def show_adding(library: Library) -> None:
    """Offer to add recordings, by their path or dropped here."""
    with st.container(border=True):
        if st.session_state.pop(ADDED, False):
            st.session_state[PATH] = ""  # what could not be added stays, to be corrected
        with st.form("add", border=False):
            words, go = st.columns([8, 1], vertical_alignment="bottom")
            text = words.text_input(
                "Recording or folder path",
                placeholder="/data/psg/night.edf, or a folder to search; nothing is copied, files stay where they are",
                key=PATH,
            )
            pressed = go.form_submit_button("Add", type="primary", width="stretch")
        zone, choice = st.columns([8, 3], vertical_alignment="center")
        with zone:
            arrived = drop_zone(UPLOAD_PATH, key="upload")
            say_how_uploads_are_stored(library)
        stage = choice.toggle(
            "Stage new studies at once", value=True, help="Uses the best engine there is; takes about half a minute a night."
        )
    if pressed and add(library, text, stage=stage):
        st.session_state[ADDED] = True
        st.rerun()
    if arrived and st.session_state.get("arrived") != arrived:
        st.session_state["arrived"] = arrived
        submit_study(library, arrived, stage=stage)
        say("success", f"Added {arrived}.")


def main() -> None:
    """Draw the page."""
    user = require(Role.VIEWER)
    with Library.open() as library:
        if user.may(Role.SCORER):
            show_adding(library)
        with st.container():
            show_messages()
        show_list(library)
    st.caption("Research use. Nothing here is a diagnosis; stages from an engine are proposals until a person has reviewed them.")


main()

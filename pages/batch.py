from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import streamlit as st

from sleepfm.administration.audit import record
from sleepfm.administration.roles import Role
from sleepfm.errors import SleepFMError
from sleepfm.home import Home
from sleepfm.inference.steps import STEPS
from sleepfm.library.batch_adding import add_results
from sleepfm.library.batch_state import BatchState, failures_csv, read_state, results_csv
from sleepfm.library.export_check import without_identity
from sleepfm.library.job_batch import DEFAULT_STEPS, batch_folder, submit_batch
from sleepfm.library.library import Library
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import Job
from sleepfm.text import plain, printable
from sleepfm.viewer.batch_view import STEP_WORDS, counts_words, offered_files, result_rows
from sleepfm.viewer.role_widgets import action_button, export_button, stop_button
from sleepfm.viewer.signed_in import User, require
from sleepfm.viewer.words import time_left_words

LISTED = 30  # batches offered in the list; older ones stay under Runs
MOST_AT_ONCE = 8
TWO_LINES_PX = 56  # a reason is a sentence or two: cells that are so high wrap their text
SAID = "batch said"


def start(library: Library, user: User, text: str, steps: list[str], jobs: int) -> None:
    """Queue a batch over what was typed."""
    require(Role.SCORER)
    if not text.strip():
        st.session_state[SAID] = ("error", "Type the path of a folder, or of a text file with a path a line.")
        return
    if not steps:
        st.session_state[SAID] = ("error", "Choose at least one step.")
        return
    try:
        inputs = Path(text.strip().strip('"')).expanduser()
        job = submit_batch(library, inputs, steps=steps, jobs=jobs, submitted_by=user.name)
        record(library.connection, user.name, "start batch", job.id, {"inputs": str(inputs), "steps": steps})
    except SleepFMError as error:
        st.session_state[SAID] = ("error", str(error))
        return
    st.query_params["batch"] = job.id


def show_form(library: Library, user: User) -> None:
    """Ask for a folder or a list, the steps, and how many at a time."""
    with st.form("batch", border=True):
        text = st.text_input(
            "Folder or list path", placeholder="/data/psg, or /data/nights.txt with a path a line; nothing is copied or changed"
        )
        left, middle, right = st.columns([8, 2, 1], vertical_alignment="bottom")
        steps = left.multiselect("Steps", list(STEPS), default=list(DEFAULT_STEPS), format_func=STEP_WORDS.__getitem__)
        most = max(1, min(MOST_AT_ONCE, os.cpu_count() or 1))
        jobs = middle.number_input("At a time", 1, most, min(2, most), help="Each takes a process, and memory, of its own")
        pressed = right.form_submit_button("Start", type="primary", width="stretch")
    if pressed:
        start(library, user, text, steps, int(jobs))
        st.rerun()


def show_said() -> None:
    """Show what the last action had to say."""
    if (said := st.session_state.pop(SAID, None)) is not None:
        {"error": st.error, "success": st.success}[said[0]](plain(said[1]))


def choose_batch(library: Library) -> Job | None:
    """Return the batch of the address, else the newest; None where there is none."""
    batches = {job.id: job for job in library.jobs.list(kinds=("batch",), limit=LISTED)}
    wanted = st.query_params.get("batch")
    if not batches:
        st.info("No batch yet. Every recording gets a process of its own; what is done stays done.", icon=":material/stacks:")
        return None
    ids = list(batches)
    chosen = st.selectbox(
        "Batch",
        ids,
        index=ids.index(wanted) if wanted in ids else 0,
        format_func=lambda one: f"{printable(batches[one].title)} · {batches[one].created_at.astimezone():%d %b %H:%M}",
        key=f"choice of batch {wanted}",
        label_visibility="collapsed",
        width=520,
    )
    if chosen != wanted:
        st.query_params["batch"] = chosen
    return batches[chosen]


def show_batch(library: Library, job: Job) -> None:
    """Show one batch: how far it is, or what became of it; kept up to date while it runs."""
    home = library.home
    was_open = job.open

    @st.fragment(run_every=1.5 if was_open else None)
    def view() -> None:
        with Library(home) as fresh:
            now = fresh.jobs.get(job.id)
            if now.open != was_open:
                st.rerun()
            if now.open:
                row = st.container(horizontal=True, vertical_alignment="center")
                row.progress(now.progress, plain(f"{now.message or 'waiting'}{time_left_words(now.seconds_left())}"))
                stop_button(fresh.jobs, now, place=row)
            elif now.error:
                st.error(plain(f"{now.state.value}: {now.error}"))
            state = read_state(batch_folder(home, now)) or BatchState()
            if state.done:
                show_table(state, now)
            elif now.open:
                st.caption("Nothing is done yet; each recording appears here when it is.")
            if not now.open:
                show_actions(fresh, now, state)

    view()


def show_table(state: BatchState, job: Job) -> None:
    """Show what became of each recording."""
    st.dataframe(
        result_rows(state),
        hide_index=True,
        row_height=TWO_LINES_PX if any(one.failed or one.skipped for one in state.done.values()) else None,
        key=f"results of {job.id}",
        alt="What became of each recording",
        column_config={
            "Recording": st.column_config.TextColumn(width=150),
            "Went wrong": st.column_config.TextColumn(width=430),
        },
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(plain(counts_words(state)), width="stretch")
        for words, content, name in (
            ("Table as CSV", results_csv(state), "batch"),
            ("Failures as CSV", failures_csv(state.failures), "failures"),
        ):
            export_button(
                words,
                content,
                f"{name}_{job.id}.csv",
                "text/csv",
                icon=":material/download:",
                on_click="ignore",
                disabled=name == "failures" and not state.failures,
                key=f"{words} {job.id}",
            )


def show_actions(library: Library, job: Job, state: BatchState) -> None:
    """Offer to go on with a batch, to take its recordings into the library, and the results of one of them."""
    made = {one.id: one for one in state.done.values() if one.id}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if job.resumable or state.failures:
            again = "Go on" if job.resumable else "Try the failed ones again"
            if action_button(again, key=f"resume {job.id}"):
                go_on(library, job)
                st.rerun()
        if made and action_button(
            "Add to library", key=f"add {job.id}", help="As studies, with the stages and events that were found", type="primary"
        ):
            add(library, job, state)
            st.rerun()
    if not made:
        return
    one = st.selectbox("Results of", list(made), format_func=printable, key=f"one of {job.id}", width=320)
    with st.container(horizontal=True):
        for name, path, kind in offered_files(batch_folder(library.home, job), made[one]):
            export_button(
                printable(name),
                partial(taken_out, library.home, Path(made[one].file), path),
                f"{one}_{name}",
                kind,
                icon=":material/download:",
                on_click="ignore",
                key=f"file {job.id} {one} {name}",
            )


def taken_out(home: Home, recording: Path, file: Path) -> bytes:
    """Return a file that is downloaded, when it names nobody."""
    return without_identity(home, recording, file.read_bytes(), file.name)


def go_on(library: Library, job: Job) -> None:
    """Queue a batch again: what is done stays, what failed is tried again."""
    user = require(Role.SCORER)
    try:
        if job.resumable:
            library.jobs.resume(job.id, submitted_by=user.name)
            ensure_running(library.home)
        else:
            asked = job.parameters
            job = submit_batch(
                library, Path(asked["inputs"]), steps=asked["steps"], jobs=asked["jobs"], submitted_by=user.name, again=job
            )
            st.query_params["batch"] = job.id
        record(library.connection, user.name, "go on with batch", job.id)
    except SleepFMError as error:
        st.session_state[SAID] = ("error", str(error))


def add(library: Library, job: Job, state: BatchState) -> None:
    """Take the recordings of a batch into the library."""
    user = require(Role.SCORER)
    added, failed = add_results(library, batch_folder(library.home, job), state)
    record(library.connection, user.name, "add batch to library", job.id, {"studies": len(added)})
    counted = "1 study is" if len(added) == 1 else f"{len(added)} studies are"
    words = f"{counted} in the library." if added else "Nothing could be added."
    if failed:
        words += f" {len(failed)} could not be added; {failed[0]['error']}"
    st.session_state[SAID] = ("error" if failed else "success", words)


def main() -> None:
    """Draw the page."""
    user = require(Role.SCORER)
    with Library.open() as library:
        show_form(library, user)
        show_said()
        job = choose_batch(library)
        if job is not None:
            try:
                show_batch(library, job)
            except SleepFMError as error:
                st.error(plain(str(error)))
    st.caption(
        "The steps are those of `sleepfm run`; results lie in the app's home folder under runs. Stages and events from an engine"
        " are proposals until a person has reviewed them."
    )


main()

"""One run in detail: how it stands, its curves, its log, what it was asked for and where it runs."""

from __future__ import annotations

from typing import Any

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.library.library import Library
from sleepfm.runs.run_files import log_file, log_tail, run_folder, run_state
from sleepfm.runs.table import Job, JobState
from sleepfm.text import plain, printable
from sleepfm.training.config_files import as_yaml
from sleepfm.viewer import runs_acting
from sleepfm.viewer.runs_components import run_curves
from sleepfm.viewer.runs_papers import Papers, environment_rows, read_papers, seconds_left
from sleepfm.viewer.runs_words import (
    BADGE_COLOURS,
    figure_words,
    figures,
    is_training,
    kind_words,
    state_words,
    took_words,
    when_words,
    where_words,
)
from sleepfm.viewer.signed_in import require

LOG_LINES = 25
LAST_WORDS = 8
MOST_FAILED = 200


def show_run(library: Library, job: Job) -> None:
    """Draw a run."""
    show_title(job)
    runs_acting.show_messages()
    show_standing(library, job)
    show_actions(library, job)
    papers = read_papers(library.home, job)
    show_what_went_wrong(library, job)
    said = run_state(library.home, job.id)
    for remark in (*papers.remarks, *([said.remark] if said is not None and said.remark else [])):
        st.warning(plain(remark), icon=":material/edit_note:")
    if is_training(job):
        run_curves([job], key=f"curves {job.id}")
    elif job.result:
        show_result(job.result)
    log, settings, environment, note, about = st.tabs(
        ["Log", "Settings" if is_training(job) else "Asked for", "Environment", "Note" + (" ●" if job.note else ""), "About"]
    )
    with log:
        show_log(library, job)
    with settings:
        st.code(papers.yaml or "nothing", language="yaml")
    with environment:
        show_environment(papers)
    with note:
        show_note(library, job)
    with about:
        show_about(library, job)


def show_title(job: Job) -> None:
    """Draw the run's name with its state, and the way back."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button("All runs", icon=":material/arrow_back:"):
            go()
        st.markdown(f"#### {plain(job.title)}", width="content")
        st.badge(job.state.value, color=BADGE_COLOURS[job.state])
        if job.archived:
            st.badge("archived", color="gray")
        st.caption(plain(f"{kind_words(job.kind)} · {where_words(job)} · {job.id}"), width="content")


def show_standing(library: Library, job: Job) -> None:
    """Say how the run stands, every second while it is open; the page runs again when that changes."""
    shown = (job.state, job.attempt, job.stop_requested, job.kill_requested)

    @st.fragment(run_every=1.0 if job.open else None)
    def standing() -> None:
        require(Role.ADMIN)  # a session may have ended since the page was drawn
        with Library(library.home) as fresh:
            now = fresh.jobs.get(job.id)
        if (now.state, now.attempt, now.stop_requested, now.kill_requested) != shown:
            st.rerun()
        words = state_words(now, seconds_left=seconds_left(library.home, now))
        if now.state is JobState.RUNNING:
            st.progress(now.progress, plain(words))
        else:
            st.markdown(plain(" ".join(filter(None, [words, figure_words(now) and f"{figure_words(now).capitalize()}."]))))

    standing()


def show_actions(library: Library, job: Job) -> None:
    """Draw what can be done with the run as it stands."""
    sure_key = f"runs kill {job.id} {job.attempt}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="run-actions"):
        if job.open and not job.stop_requested:
            words = "Take out of the queue" if job.state is JobState.QUEUED else "Stop the run"
            checkpoint = "Writes a checkpoint, then ends: it can be resumed." if is_training(job) else None
            if st.button(words, icon=":material/stop_circle:", help=checkpoint):
                runs_acting.stop(library, job)
                st.rerun()
        if job.state is JobState.RUNNING and not job.kill_requested:
            if not st.session_state.get(sure_key):
                if st.button("Kill …", icon=":material/dangerous:", help="Ends it at once."):
                    st.session_state[sure_key] = True
                    st.rerun()
            else:
                st.markdown(plain("Ends it at once; what came after its last checkpoint is lost."), width="content")
                if st.button("Kill it", type="primary"):
                    del st.session_state[sure_key]
                    runs_acting.kill(library, job)
                    st.rerun()
                if st.button("Let it run"):
                    del st.session_state[sure_key]
                    st.rerun()
        if job.resumable:
            words = "Resume" if is_training(job) else "Run it again"
            goes_on = "Goes on from its last checkpoint, under the same id." if is_training(job) else "Under the same id."
            if st.button(words, type="primary", icon=":material/play_arrow:", help=goes_on):
                runs_acting.resume(library, job)
                st.rerun()
        show_ways_on(job)
        if not job.open:
            words = "Bring back" if job.archived else "Archive"
            if st.button(words, icon=":material/archive:", help="Nothing is deleted."):
                runs_acting.archive(library, job, archived=not job.archived)
                st.rerun()


def show_ways_on(job: Job) -> None:
    """Offer where one goes from a training run: its model, fine-tuning from it, another run like it."""
    if not is_training(job):
        return
    model = figures(job).get("model")
    if job.state is JobState.FINISHED and model is not None:
        if st.button("Open its model", type="primary", icon=":material/inventory_2:"):
            st.switch_page("pages/models.py", query_params={"model": model})
        if job.kind == "pretrain" and st.button("Fine-tune from it", icon=":material/tune:"):
            st.switch_page("pages/finetune.py", query_params={"task": "staging", "encoder": model, "data": job.id})
    if st.button("Clone with changes", icon=":material/content_copy:", help="Opens the form with this run's settings."):
        if job.kind == "pretrain":
            st.switch_page("pages/pretrain.py", query_params={"from": job.id})
        task = str(job.parameters.get("task", "staging"))
        st.switch_page("pages/finetune.py", query_params={"task": task, "from": job.id})


def show_what_went_wrong(library: Library, job: Job) -> None:
    """Say why a run failed or crashed, with its last words."""
    if job.state not in (JobState.FAILED, JobState.CRASHED):
        return
    st.error(plain(job.error or "Nothing was said about why."))
    last = log_tail(library.home, job.id, LAST_WORDS)
    if job.state is JobState.CRASHED and last:
        st.caption("The last lines of its log:")
        st.code(last, language=None)


def show_result(result: dict[str, Any]) -> None:
    """Show what a job that trains nothing came to: what failed as a table, the rest as it was stored."""
    failed = result.get("failed")
    if isinstance(failed, list) and failed:
        with st.expander(f"{len(failed)} could not be done", expanded=True):
            rows = [{name: printable(str(value)) for name, value in one.items()} for one in failed if isinstance(one, dict)]
            st.dataframe(rows[:MOST_FAILED], hide_index=True)
    with st.expander("Result"):
        st.code(as_yaml(result), language="yaml", height=300)


def show_log(library: Library, job: Job) -> None:
    """Show the end of the run's log, kept up to date while it is open, and offer all of it."""

    @st.fragment(run_every=2.0 if job.open else None)
    def tail() -> None:
        require(Role.ADMIN)
        st.code(log_tail(library.home, job.id, LOG_LINES) or "Nothing was said yet.", language=None)

    tail()
    file = log_file(library.home, job.id)
    if file.is_file():
        st.download_button("Download the whole log", file.read_bytes, file_name=f"{job.id}.txt", mime="text/plain")


def show_environment(papers: Papers) -> None:
    """Show where the run ran and with what software."""
    rows = environment_rows(papers)
    if rows:
        st.table({"": [name for name, _ in rows], " ": [plain(value) for _, value in rows]}, hide_index=True)
    else:
        st.caption("Nothing is written down about this yet; a training run does so when it begins.")


def show_note(library: Library, job: Job) -> None:
    """Show the note kept with the run, and let it be changed."""
    with st.form(f"note {job.id}", border=False):
        note = st.text_area("Note", job.note, max_chars=10_000, placeholder="What this run was for")
        if st.form_submit_button("Keep the note"):
            runs_acting.annotate(library, job, note)
            st.rerun()


def show_about(library: Library, job: Job) -> None:
    """Show who asked for the run and when, and the runs it is related to."""
    rows = {
        "Run": job.id,
        "Kind": kind_words(job.kind),
        "Subject": job.subject or "–",
        "Queued": when_words(job.created_at) + (f" by {job.submitted_by}" if job.submitted_by else ""),
        "Started": when_words(job.started_at),
        "Ended": when_words(job.finished_at),
        "Took": took_words(job),
        "Attempt": str(job.attempt),
        "Where": where_words(job),
        "Cluster's id": job.external or "–",
        "Process": "–" if job.pid is None else str(job.pid),
        "Software": job.version or "–",
        "Folder": str(run_folder(library.home, job.id)),
    }
    st.table({"": list(rows), " ": [plain(value) for value in rows.values()]}, hide_index=True)
    with st.container(horizontal=True):
        if job.parent is not None and st.button(
            "The run it was cloned from", icon=":material/north_west:", help=plain(job.parent)
        ):
            go(run=job.parent)
        for clone in library.jobs.list(parent=job.id, archived=None, limit=20):
            if st.button(f"Clone: {plain(clone.title)}", icon=":material/content_copy:", key=f"clone {clone.id}"):
                go(run=clone.id)


def go(**address: str) -> None:
    """Show another view of the page: `run=<id>`, `compare=<ids>`, or the list."""
    st.query_params.from_dict(address)
    st.rerun()

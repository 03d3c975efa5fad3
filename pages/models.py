from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.errors import SleepFMError
from sleepfm.library.job_models import FETCH_KIND, IMPORT_KIND, fetched_megabytes, official_missing, submit_fetch
from sleepfm.library.library import Library
from sleepfm.models.card import Task
from sleepfm.models.shelf import Shelf
from sleepfm.runs.table import Job, JobState
from sleepfm.text import plain
from sleepfm.viewer.job_progress import show_progress
from sleepfm.viewer.models_detail import MESSAGES, show_model
from sleepfm.viewer.models_import import WATCHED, import_dialog
from sleepfm.viewer.models_words import ShelfRow, shelf_rows
from sleepfm.viewer.signed_in import acting, require

MOST_ROWS, TABLE_PX = 9, 334  # more rows than that scroll, so that a model's card is in sight
LATELY = timedelta(days=1)
READ, OPENED, SHOWN, VISIT = "models read", "models opened", "models shown", "models visit"

# a table and a card need the room that Streamlit leaves between its elements
TIGHT = """<style>
.stMainBlockContainer { padding-left: 1.4rem; padding-right: 1.4rem; }
.stMainBlockContainer [data-testid="stElementContainer"]:has(> .stHtml > style) { display: none; }
.stMainBlockContainer > .stVerticalBlock { gap: 0.6rem; }
.stMainBlockContainer table { font-size: 13px; }
.stMainBlockContainer a.export {
  display: inline-block; padding: 0.45rem 0.75rem; border: 1px solid rgba(49, 51, 63, 0.2); border-radius: 0.5rem;
  color: inherit; text-decoration: none; font-size: 0.875rem;
}
.stMainBlockContainer a.export:hover, .stMainBlockContainer a.export:focus-visible { border-color: #2f6fae; color: #2f6fae; }
.stMainBlockContainer table th { display: none; }
.stMainBlockContainer table td:first-child { white-space: nowrap; vertical-align: top; }
.stMainBlockContainer table td:last-child { overflow-wrap: anywhere; }
</style>"""


def show_bringing(library: Library) -> None:
    """Offer to bring models, and show how far that is or what went wrong."""
    job = next(iter(library.jobs.list(kinds=(IMPORT_KIND, FETCH_KIND), limit=1)), None)
    missing = official_missing(Shelf(library.home.models))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if job is None or not job.open:
            if st.button("Import a model", icon=":material/upload:"):
                import_dialog()
            if missing:
                show_fetch(library)
    if job is not None and job.open:
        show_progress(library.home, job)
    elif job is not None:
        show_outcome(job)


def show_fetch(library: Library) -> None:
    """Offer to download the published models, or to go on with it."""
    here = fetched_megabytes(library.home)
    words = f"Go on fetching the published models ({here:.0f} MB are here)" if here else "Fetch the published SleepFM models"
    if st.button(words, icon=":material/download:", help="About 30 MB from github.com, verified; MIT licence. Can be stopped."):
        with acting(library, "fetch models", "official") as user:
            st.session_state[WATCHED] = submit_fetch(library, submitted_by=user.name).id
        st.rerun()


def show_outcome(job: Job) -> None:
    """Say how an import or download of this session ended, or one that failed lately, until somebody closes it."""
    state = st.session_state
    failed = job.state in (JobState.FAILED, JobState.CRASHED)
    lately = job.finished_at is not None and datetime.now(UTC) - job.finished_at < LATELY
    if state.get(READ) == job.id or not (state.get(WATCHED) == job.id or (failed and lately)):
        return
    said, close = st.columns([12, 1], vertical_alignment="center")
    with said:
        if job.state is JobState.STOPPED:
            st.info(plain(f"{job.title}: stopped; nothing half-written is on the shelf."))
        elif failed:
            st.error(plain(f"{job.title}: {job.error}"))
        else:
            result = job.result or {}
            names = [result["model"]] if "model" in result else list(result.get("models", ()))
            on_shelf = ", ".join(plain(name) for name in names)
            st.success(f"{on_shelf} {'is' if len(names) == 1 else 'are'} on the shelf.")
            if len(names) == 1 and state.get(OPENED) != job.id:  # what was imported is what one wants to see
                state[OPENED] = job.id
                st.query_params["model"] = names[0]
    if close.button("Close", key=f"close {job.id}"):
        state[READ] = job.id
        st.rerun()


def choose_model(rows: list[ShelfRow]) -> str | None:
    """Show the shelf and return the name of the model that is chosen: in the address or by a click."""
    asked, state = st.query_params.get("model"), st.session_state
    if asked != state.get(SHOWN):  # by a link: the table begins anew with that row
        state[VISIT] = state.get(VISIT, 0) + 1
    names = [row.name for row in rows]
    # a row is chosen by its place, so a table with other rows or another order is another table
    places = hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]
    found = st.dataframe(
        [row.cells for row in rows],
        hide_index=True,
        key=f"shelf {places} {state.get(VISIT, 0)}",
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": [names.index(asked)] if asked in names else []}},
        height="content" if len(rows) <= MOST_ROWS else TABLE_PX,
        column_config={"Measured (interval), n": st.column_config.TextColumn(width="large")},
        alt="The models on the shelf; choose a row to read its card",
    )
    chosen = found["selection"]["rows"]
    if asked is not None and asked not in names:
        st.error(plain(f"No model named {asked} is on the shelf."))
    name = names[chosen[0]] if chosen and chosen[0] < len(names) else None
    if name != asked and not (name is None and asked not in names):
        if name is None:
            st.query_params.pop("model", None)
        else:
            st.query_params["model"] = name
    state[SHOWN] = st.query_params.get("model")
    return name


def main() -> None:
    """Draw the page."""
    require(Role.ADMIN)
    st.html(TIGHT)
    with Library.open() as library:
        try:
            show_bringing(library)
            for kind, text in st.session_state.pop(MESSAGES, []):
                {"success": st.success, "error": st.error}[kind](plain(text))
            shelf = Shelf(library.home.models)
            for problem in shelf.problems():
                st.warning(plain(problem))
            rows = shelf_rows(shelf)
            if not rows:
                st.info("The shelf is empty: fetch the published models, or import one.", icon=":material/inventory_2:")
                return
            name = choose_model(rows)
            if name is None:
                st.caption(
                    "Choose a row to read a model's card. Every figure stands with its interval and what it was measured on."
                )
            else:
                show_model(library, shelf.get(name))
            if not any(shelf.pick(task) for task in Task):
                st.caption(
                    "No model here is known to be trained on real recordings, so “Best engine” stages with YASA; models trained"
                    " on simulated signals are taken only by their name."
                )
        except SleepFMError as error:  # a card or a note of the shelf is damaged: the line names it
            st.error(plain(str(error)))
    st.caption("Research use. Nothing here is a diagnosis.")


main()

from __future__ import annotations

from typing import Any

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.errors import RequestError
from sleepfm.library.library import Library
from sleepfm.runs.kinds import KINDS
from sleepfm.runs.table import OPEN_STATES, TRAINING_KINDS, Job, JobState
from sleepfm.text import plain
from sleepfm.viewer import runs_acting
from sleepfm.viewer.runs_compare import MOST_COMPARED
from sleepfm.viewer.runs_components import run_list
from sleepfm.viewer.runs_one import go, show_run
from sleepfm.viewer.runs_several import show_compared
from sleepfm.viewer.runs_words import ended_states, kind_words
from sleepfm.viewer.signed_in import require

ROWS = 25
MOST_WAITING = 25
# room for charts and long names; tables of names and values have no titles above them
WIDE = """<style>
.stMainBlockContainer { padding-left: 1.2rem; padding-right: 1.2rem; }
.stMainBlockContainer [data-testid="stTable"] thead { display: none; }
</style>"""
CHOSEN = "runs chosen"
KINDS_SHOWN: dict[str, tuple[str, ...] | None] = {
    "All kinds": None,
    "Training runs": TRAINING_KINDS,
    **{kind_words(kind): (kind,) for kind in sorted(KINDS, key=kind_words)},
}
STATES_SHOWN: dict[str, tuple[JobState, ...]] = {
    "All states": tuple(JobState),
    **{state.value.capitalize(): (state,) for state in JobState},
}


def chosen() -> list[str]:
    """Return the runs that were chosen to be compared, in the order they were."""
    runs: list[str] = st.session_state.setdefault(CHOSEN, [])
    return runs


def act(library: Library, action: dict[str, Any]) -> None:
    """Do what was clicked in a list."""
    run = str(action["run"])
    if action["action"] == "open":
        go(run=run)
    elif action["action"] == "stop":
        runs_acting.stop(library, library.jobs.get(run))
    elif action["action"] == "leave" and run in chosen():
        chosen().remove(run)
    elif action["action"] == "choose" and run not in chosen():
        if len(chosen()) == MOST_COMPARED:
            runs_acting.say("info", f"At most {MOST_COMPARED} runs are compared at once.")
        else:
            chosen().append(run)


def choose_filter() -> dict[str, Any]:
    """Let its user choose which runs are listed."""
    kind = st.selectbox(
        "Kind", list(KINDS_SHOWN), key="runs kind", label_visibility="collapsed", width=190, persist_state="session"
    )
    state = st.selectbox(
        "State", list(STATES_SHOWN), key="runs state", label_visibility="collapsed", width=140, persist_state="session"
    )
    search = st.text_input(
        "Search",
        placeholder="Search: part of a name, note or id",
        key="runs search",
        label_visibility="collapsed",
        width=300,
        persist_state="session",
    )
    archived = st.toggle("Archived", key="runs archived", help="Shows what was put away.", persist_state="session")
    return {"kinds": KINDS_SHOWN[kind], "states": STATES_SHOWN[state], "search": search, "archived": archived}


def show_list(library: Library) -> None:
    """Show the queue and one page of the history, kept up to date while there is work going on."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        wanted = choose_filter()
        page_place = st.container(width=150)
        count = len(chosen())
        if st.button(
            f"Compare {count} runs" if count > 1 else "Compare",
            disabled=count < 2,
            icon=":material/compare_arrows:",
            help="Choose two or more training runs with the boxes at their left.",
        ):
            go(compare=",".join(chosen()))
        if count and st.button("Clear", help="Choose no run"):
            chosen().clear()
            st.rerun()
    ended = wanted | {"states": ended_states(wanted["states"])}
    found = library.jobs.count(**ended)
    pages = max(1, -(-found // ROWS))
    page = 1
    if pages > 1:
        key = f"runs page {wanted}"  # another filter begins with its first page
        st.session_state[key] = min(st.session_state.get(key, 1), pages)  # runs that were put away may leave fewer pages
        page = page_place.number_input(f"Page of {pages}", 1, pages, key=key, label_visibility="collapsed")
    runs_acting.show_messages()
    busy = library.jobs.count(states=OPEN_STATES, archived=None) > 0

    @st.fragment(run_every=1.0 if busy else 5.0)
    def rows() -> None:
        with Library(library.home) as fresh:
            show_rows(fresh, wanted, ended, page=page, found=found)
            # after the rows: what was clicked in them comes with this run only, and must not be lost with it
            if busy != (fresh.jobs.count(states=OPEN_STATES, archived=None) > 0) or fresh.jobs.count(**ended) != found:
                st.rerun()  # something has ended or begun: other pages, other choices

    rows()
    if pages > 1:
        st.caption(f"{found:,} ended, page {page} of {pages}")


def show_rows(library: Library, wanted: dict[str, Any], ended: dict[str, Any], *, page: int, found: int) -> None:
    """Draw the queue, then the history."""
    queue, waiting = open_runs(library, wanted)
    above, below = st.container(), st.container()  # always both: the history stays mounted while the queue comes and goes
    if queue:
        with above:
            more = f", the first {MOST_WAITING} of {waiting:,}" if waiting > MOST_WAITING else ""
            st.markdown(f"**Queue** :gray[running, then waiting in their order{more}]")
            heard(library, run_list(library.home, queue, chosen=chosen(), key="queue"))
    history = library.jobs.list(**ended, limit=ROWS, offset=(page - 1) * ROWS)
    if history:
        with below:
            st.markdown("**History** :gray[the newest first]")
            heard(library, run_list(library.home, history, chosen=chosen(), key="history"))
    if not queue and not history:
        show_nothing(library, found)


def open_runs(library: Library, wanted: dict[str, Any]) -> tuple[list[Job], int]:
    """Return the runs that run and those that wait, the next one first, and how many wait in all."""
    running = wanted | {"states": tuple(state for state in wanted["states"] if state is JobState.RUNNING)}
    queued = wanted | {"states": tuple(state for state in wanted["states"] if state is JobState.QUEUED)}
    waiting = library.jobs.count(**queued)
    oldest = library.jobs.list(**queued, limit=MOST_WAITING, offset=max(0, waiting - MOST_WAITING))
    return [*library.jobs.list(**running)[::-1], *oldest[::-1]], waiting


def heard(library: Library, action: dict[str, Any] | None) -> None:
    """Do what was clicked, once."""
    if action is None or action["nonce"] == st.session_state.get("runs handled"):
        return
    st.session_state["runs handled"] = action["nonce"]
    try:
        act(library, action)
    except RequestError as error:
        runs_acting.say("error", str(error))
    st.rerun()


def show_nothing(library: Library, found: int) -> None:
    """Say why the list is empty, and where runs come from."""
    if found or library.jobs.count(archived=None):
        st.caption("No run is like this: choose other kinds or states, or look among the archived.")
        return
    st.info("No runs yet. Pretrain an encoder or fine-tune a head, and watch it here.", icon=":material/model_training:")
    with st.container(horizontal=True):
        st.page_link("pages/pretrain.py", label="Pretrain an encoder")
        st.page_link("pages/finetune.py", label="Fine-tune a head")


def main() -> None:
    """Draw the page: the list, one run, or several compared."""
    require(Role.ADMIN)
    st.html(WIDE)
    with Library.open() as library:
        run, compared = st.query_params.get("run"), st.query_params.get("compare")
        if run:
            try:
                job = library.jobs.get(run)
            except RequestError as error:
                st.error(plain(str(error)))
                if st.button("All runs", icon=":material/arrow_back:"):
                    go()
                return
            show_run(library, job)
        elif compared:
            show_compared(library, compared.split(","))
        else:
            show_list(library)


main()

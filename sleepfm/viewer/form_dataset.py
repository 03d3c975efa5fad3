"""Making a dataset of the library's studies: which, with whose labels, and who is in which list, with how even the lists are."""

from __future__ import annotations

import streamlit as st

from sleepfm.errors import SleepFMError
from sleepfm.library import facts, subsets
from sleepfm.library.library import Library
from sleepfm.library.training_data import (
    NO_LABELS,
    PEOPLE,
    SHARES,
    LibraryChoice,
    balance,
    chosen_studies,
    datasets,
    kinds_of_nights,
    notes_on,
    scorers,
    split_by_subject,
    submit_dataset,
)
from sleepfm.runs.table import OPEN_STATES
from sleepfm.signals.recipes import RECIPES
from sleepfm.text import plain, printable
from sleepfm.viewer.form_data_source import balance_rows
from sleepfm.viewer.form_draft import Draft
from sleepfm.viewer.form_fields import FieldDrawer
from sleepfm.viewer.form_presets import free_name
from sleepfm.viewer.form_shares import ask_seed, ask_shares, whole
from sleepfm.viewer.job_progress import show_progress
from sleepfm.viewer.signed_in import acting

ALL = ""
"""Every study, beside the subsets by their names."""


def show_dataset_work(library: Library, draft: Draft) -> None:
    """Show the dataset that is being made, or why the last one could not be."""
    jobs = library.jobs.list(kinds=("dataset",), limit=1)
    if not jobs:
        return
    job = jobs[0]
    if job.open:
        show_progress(library.home, job)
        return
    if st.session_state.get(draft.beside("dataset read")) == job.id:
        return
    failed = (job.result or {}).get("failed", [])
    if not (job.error or failed):
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if job.error:
            st.error(plain(f"{job.title}: {job.error}"))
        else:
            with st.expander(plain(f"{job.title}: {len(failed)} studies were left out")):
                rows = [{"Study": printable(one["study"]), "Why": printable(one["error"])} for one in failed]
                st.dataframe(rows, hide_index=True)
        st.button(
            "Close", key=f"close {job.id}", on_click=lambda: st.session_state.update({draft.beside("dataset read"): job.id})
        )


def show_dataset_maker(library: Library, draft: Draft) -> None:
    """Let a dataset be described and made."""
    total = library.count()
    if not total:
        st.info("No studies yet: a dataset is made of the library's studies.", icon=":material/bedtime:")
        st.page_link("pages/studies.py", label="Add recordings")
        return
    with st.container(border=True):
        try:
            _maker(library, draft, total)
        except SleepFMError as error:
            FieldDrawer.say(str(error))


def _maker(library: Library, draft: Draft, total: int) -> None:
    def key(name: str) -> str:
        return draft.beside(f"new {name}")

    first, second, third, fourth = st.columns([2, 2, 2.4, 1.2])
    free = free_name("nights", {one.name for one in datasets(library.home)})
    st.session_state.setdefault(key("name"), free)
    name = first.text_input("Name of the dataset", key=key("name"), placeholder=f"for example {free}", persist_state="session")
    subset = second.selectbox(
        "Studies",
        [ALL, *subsets.names(library)],
        format_func=lambda one: f"all {total}" if one == ALL else f"subset {printable(one)}",
        key=key("studies"),
        help="Subsets are saved on the Cohort page.",
        persist_state="session",
    )
    studies = chosen_studies(library, LibraryChoice(subset or None))
    found = scorers(library, studies)
    offered = {one.key: printable(one.label) if one.key == PEOPLE else f"{printable(one.label)} ({one.studies})" for one in found}
    by_people = PEOPLE in offered
    offered[NO_LABELS] = "none (pretraining needs no labels)"
    labels = third.selectbox(
        "Labels",
        list(offered),
        index=0 if by_people else len(offered) - 1,  # what a program staged is never the first choice
        format_func=offered.__getitem__,
        key=key("labels"),
        help="Of a night's scorings by people the signed one is taken, else a reviewed one, else one that is still open and was"
        " edited, else the one that came with the recording. What a program staged is taken only when it is chosen here.",
        persist_state="session",
    )
    recipe = fourth.selectbox(
        "Recipe", list(RECIPES), key=key("recipe"), help="How channels become signals at 128 Hz.", persist_state="session"
    )
    if labels not in (NO_LABELS, PEOPLE):
        st.warning("These labels were made by a program: what learns from them copies its mistakes.", icon=":material/smart_toy:")

    columns = st.columns(7)
    shares = ask_shares(columns, key, SHARES)
    by = columns[4].selectbox(
        "Even by",
        ["", *(one for one in facts.columns(library) if one != facts.SUBJECT)],
        format_func=lambda one: printable(one) if one else "nothing",
        key=key("by"),
        help="Lists are always of different people. Each group of this column is divided for itself, so that every list has"
        " people of every group.",
        persist_state="session",
    )
    seed = ask_seed(columns[5], key)
    made_up, real = kinds_of_nights(library, studies)
    labelled, mixed = labels != NO_LABELS, False
    with columns[6]:
        if labels != NO_LABELS:
            labelled = st.toggle(
                "Scored", value=True, key=key("labelled"), help="Only studies with such a scoring.",
                persist_state="session",
            )  # fmt: skip
        if made_up and real:
            mixed = st.toggle(
                "Mixed", key=key("mixed"), persist_state="session",
                help="Simulated and real nights together: what learns from them counts as simulated.",
            )  # fmt: skip
    choice = LibraryChoice(subset or None, labels, labelled=labelled)
    studies = chosen_studies(library, choice)
    if not whole(shares):
        return
    splits = split_by_subject(library, studies, shares, seed, by=by or None)
    st.dataframe(balance_rows(balance(library, splits, scorings=labels)), hide_index=True)
    for note in notes_on(library, studies):
        st.caption(plain(note))
    busy = bool(library.jobs.list(states=OPEN_STATES, kinds=("dataset",), limit=1))
    if st.button("Make the dataset", type="primary", disabled=busy or not name.strip(), key=key("make")):
        with acting(library, "make dataset", name, {"studies": len(studies), "labels": labels}) as user:
            submit_dataset(
                library.home, name, choice, shares, seed, recipe=recipe, by=by or None, mixed=mixed, submitted_by=user.name
            )
        st.session_state[draft.beside("dataset wanted")] = name.strip()
        st.rerun()

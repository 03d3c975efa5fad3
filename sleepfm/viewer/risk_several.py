"""The risk page's views of two nights, of a person among others, and of a cohort: asks, and draws what comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from sleepfm.analysis.horizon import HORIZON_YEARS
from sleepfm.errors import SleepFMError
from sleepfm.library import subsets
from sleepfm.library.cohort_risk import CohortQuestion, MatchQuestion, models_with_risks, queue_risks, several_nights
from sleepfm.library.index_layout import library_version
from sleepfm.library.library import Library
from sleepfm.library.resident import in_resident
from sleepfm.library.risks import risks
from sleepfm.models.card import Condition
from sleepfm.models.shelf import Shelf
from sleepfm.runs.table import OPEN_STATES, JobState
from sleepfm.text import plain, printable
from sleepfm.viewer.chart_export import show_chart
from sleepfm.viewer.cohort_risk_view import RiskView
from sleepfm.viewer.cohort_risk_views import cohort_view, matched_view, nights_view
from sleepfm.viewer.map_words import counted
from sleepfm.viewer.risk_choices import batch_seconds_left, model_choices
from sleepfm.viewer.role_widgets import action_button, export_button
from sleepfm.viewer.words import time_left_words

_WAIT_S = 120.0
_EVERYBODY = "The whole library"
_NO_MODEL = "No scores"
_NOTHING = ":material/monitoring:"
_PACE_OF = 10  # nights assessed last say how long the next ones will take
_TWO_NIGHTS, _MATCHED = "Two nights of a person", "A person among matched people"


def show_compare(library: Library, ids: list[str], first: str) -> None:
    """Draw the view that compares two nights, or a person with people of the same sex and about the same age.

    Parameters
    ----------
    library
        The open library.
    ids, first
        Studies to choose from, and the one that was looked at last.
    """
    how = st.segmented_control(
        "Compare", (_TWO_NIGHTS, _MATCHED), default=_TWO_NIGHTS, required=True, key="risk compare", label_visibility="collapsed"
    )
    if how == _MATCHED:
        _show_matched(library, ids, first)
    else:
        _show_nights(library, ids, first)


def _show_nights(library: Library, ids: list[str], first: str) -> None:
    nights = several_nights(library)
    repeated = [one for studies in nights.values() for one in studies if one in ids]
    start = first if first in repeated or not repeated else repeated[0]  # of a person who can be compared with themselves
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        a = st.selectbox("First night", ids, index=ids.index(start), key="risk first night", width=230)
        same = next((studies for studies in nights.values() if a in studies), ())
        others = [*(one for one in same if one != a), *(one for one in ids if one != a and one not in same)]
        if not others:
            st.info("There is only one study in the library: nothing to compare it with.", icon=_NOTHING)
            return
        b = st.selectbox(
            "Second night",
            others,
            format_func=lambda one: f"{one} (same person)" if one in same else one,
            key=f"risk second night {a}",
            width=270,
        )
        model = _scored_by(library, nothing=_NO_MODEL)
    if not same:
        st.caption(
            "No table names the person of the first night, or no other night of the same person: choose the second yourself."
        )
    _draw(library, nights_view, a, b, model)


def _show_matched(library: Library, ids: list[str], first: str) -> None:
    if _nobody_scored(library):
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        study = st.selectbox("Person's night", ids, index=ids.index(first), key="risk matched night", width=230)
        model = _scored_by(library)
        phecode = _condition(library, str(model))
        subset = _subset(library)
        years = st.number_input("Years apart at most", 0.0, 50.0, 5.0, 1.0, format="%g", key="risk caliper", width=150)
    _draw(library, matched_view, MatchQuestion(study, str(model), phecode, subset, caliper_years=years))


def show_cohort(library: Library) -> None:
    """Draw the view of a cohort: risk groups and enrichment; whoever has no score yet can be given one."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        subset = _subset(library)
        busy = _assess_many(library, subset)
    if said := st.session_state.pop("risk many said", None):
        st.info(plain(said))
    if (busy and not models_with_risks(library)) or _nobody_scored(library):
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        model = _scored_by(library)
        phecode = _condition(library, str(model))
        groups = st.selectbox("Risk groups", (2, 3, 4, 5), index=1, key="risk groups", width=110)
        horizon = st.number_input(
            "Years after the night", 0.5, 40.0, HORIZON_YEARS, 0.5, format="%g", key="risk horizon", width=150
        )
        top = st.number_input("Top share (%)", 1, 50, 20, 5, key="risk top", width=120)
    question = CohortQuestion(str(model), phecode, subset, groups=groups, horizon_years=horizon, top_share=top / 100)
    _draw(library, cohort_view, question)


def _nobody_scored(library: Library) -> bool:
    """Say so where no night has a score yet."""
    if models_with_risks(library):
        return False
    st.info("No night has a score yet: assess one in the view “One night”, or everybody in the view “Cohort”.", icon=_NOTHING)
    return True


def _scored_by(library: Library, nothing: str | None = None) -> str | None:
    """Let the user choose a model that scores are stored of; with `nothing`, none of them is a choice too."""
    counts = models_with_risks(library)
    choices: list[str | None] = [*counts, *([None] if nothing else [])]
    return st.selectbox(
        "Scores by",
        choices,
        format_func=lambda one: str(nothing) if one is None else f"{printable(one)} ({counted(counts[one], 'night', 'nights')})",
        key=f"risk scores {nothing}",
        width=250,
    )


def _condition(library: Library, model: str) -> str:
    """Let the user choose a condition that a model speaks of, by phecode or name."""
    names = {one.phecode: f"{printable(one.phecode)} · {printable(one.phenotype)}" for one in _conditions(library, model)}
    return str(st.selectbox("Condition", list(names), format_func=names.__getitem__, key=f"risk condition of {model}", width=300))


def _conditions(library: Library, model: str) -> list[Condition]:
    """Return what a model speaks of: as its card says, else as the results do that it left behind."""
    try:
        labels = [one for one in Shelf(library.home.models).get(model).card.labels if isinstance(one, Condition)]
    except SleepFMError:
        labels = []
    return labels or list(risks(library, model=model)[0].result.conditions)


def _subset(library: Library) -> str | None:
    chosen = st.selectbox("People", [_EVERYBODY, *subsets.names(library)], format_func=printable, key="risk people", width=200)
    return None if chosen == _EVERYBODY else chosen


def _assess_many(library: Library, subset: str | None) -> bool:
    """Offer to assess everybody whose age and sex are in the cohort's table, or show how far that is; return whether it runs."""
    waiting = library.jobs.list(states=OPEN_STATES, kinds=("risk",), limit=10_000)
    home = library.home
    if waiting:
        started = len(waiting)

        @st.fragment(run_every=2.0)
        def progress() -> None:
            with Library(home) as fresh:
                still = fresh.jobs.list(states=OPEN_STATES, kinds=("risk",), limit=10_000)
                if not still:
                    st.rerun()
                done = fresh.jobs.list(states=(JobState.FINISHED,), kinds=("risk",), limit=_PACE_OF)
                row = st.container(horizontal=True, vertical_alignment="center", width="content")
                words = f"{counted(len(still), 'night', 'nights')} to assess{time_left_words(batch_seconds_left(still, done))}"
                row.progress(max(0.0, 1 - len(still) / started), plain(words), width=330)
                if action_button("Cancel all", place=row):
                    for one in still:
                        fresh.jobs.request_stop(one.id)

        with st.container(width=480):
            progress()
        return True
    choices = model_choices(Shelf(home.models))
    model = st.selectbox(
        "Model", choices, index=None, format_func=lambda one: one.label, placeholder="Choose a model", key="risk many", width=230
    )
    if (
        action_button("Assess everybody", disabled=model is None, help="Nights whose age and sex the cohort's table states")
        and model
    ):
        try:
            asked = queue_risks(library, model.name, subset)
        except SleepFMError as error:
            st.session_state["risk many said"] = str(error)
        else:
            left_out = "".join(f"; {study}: {why}" for study, why in list(asked.left_out.items())[:3])
            more = f"; {len(asked.left_out)} left out{left_out}" if asked.left_out else ""
            st.session_state["risk many said"] = (
                f"{counted(len(asked.queued), 'night', 'nights')} queued, {len(asked.there)} there already{more}"
            )
        st.rerun()
    return False


def _draw(library: Library, view: Callable[..., RiskView], *question: Any) -> None:
    """Ask for a view, unless nothing has changed since it was asked for last, and draw it."""
    asked = (view.__name__, question, library_version(library.home.database))
    if st.session_state.get("risk view asked") != asked:
        try:
            with st.spinner("Looking through the stored results"):
                st.session_state["risk view answer"] = in_resident(library.home, view, *question, timeout_s=_WAIT_S)
        except SleepFMError as error:
            st.session_state["risk view answer"] = str(error)
        st.session_state["risk view asked"] = asked
    answer = st.session_state["risk view answer"]
    if isinstance(answer, str):
        st.info(plain(answer))
    else:
        draw_view(answer)


def draw_view(view: RiskView) -> None:
    """Draw a view: words, warnings, figures two a row, tables; each can be taken along."""
    if view.warnings:
        st.caption("  \n".join(f":material/warning: {plain(warning)}" for warning in view.warnings))
    st.markdown(plain(" ".join(view.words)))
    for first in range(0, len(view.figures), 2):
        row = view.figures[first : first + 2]
        for place, one in zip(st.columns(len(row), gap="medium"), row, strict=True):
            place.markdown(f"**{plain(one.title)}**")
            show_chart(one.figure, one.name, key=f"risk {one.name}", alt=one.title, place=place)
            if one.note:
                place.caption(plain(one.note))
    for table in view.tables:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(table.title)}**", width="content")
            export_button(
                "As CSV",
                table.csv(),
                f"{table.name}.csv",
                "text/csv",
                icon=":material/download:",
                on_click="ignore",
                key=f"risk csv {table.name}",
            )
        st.dataframe(table.shown, hide_index=True, key=f"risk table {table.name}", alt=table.title, placeholder="–")
        if table.note:
            st.caption(plain(table.note))

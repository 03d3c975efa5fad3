"""The risk page's view of one result: its conditions, and for the one that is chosen the curve, the reasons and the night."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from sleepfm.library.study import Study
from sleepfm.text import plain, printable
from sleepfm.viewer.chart_export import show_chart
from sleepfm.viewer.risk_curve import curve_csv, event_free_figure
from sleepfm.viewer.risk_night import night_figure, strongest, window_changes, window_words, windows_csv
from sleepfm.viewer.risk_reasons import reasons, reasons_csv, reasons_table
from sleepfm.viewer.risk_table import Assessment, condition_table, found, in_order, result_name, screen_table, years_known
from sleepfm.viewer.risk_waterfall import waterfall
from sleepfm.viewer.risk_words import BAND_WORDS, MEASURED_FROM, condition_facts, night_words
from sleepfm.viewer.role_widgets import export_button
from sleepfm.viewer.table_csv import table_csv

_TABLE_PX, _ROW_PX = 244, 30
_USUAL_YEAR = 5.0
_CHOSEN = "risk condition"
_WIDTHS = {
    "Phecode": 70,
    "Condition": 172,
    "95 % interval": 104,
    "Beside age and sex": 178,
    "95 % band": 98,
    "C-index": 64,
    "C interval": 94,
    "n": 46,
    "Events": 56,
}


def show_result(of: Assessment, study: Study, stages: np.ndarray | None, *, number: int) -> None:
    """Draw the view; only this part runs again when its user chooses.

    Parameters
    ----------
    of
        The result with what it is read beside.
    study, stages
        The study, and the stages of its scoring (None without one).
    number
        Of the stored result: tells the widgets of one from those of another.
    """
    tables: dict[float | None, pd.DataFrame] = {}  # by year; a thousand conditions take a third of a second

    @st.fragment
    def view() -> None:
        table = _show_conditions(of, number, tables)
        k = _chosen(of)
        _show_condition(of, table, k, number)
        _show_night(of, k, study, stages, number)

    view()


def _chosen(of: Assessment) -> int:
    """Return the place of the condition that is looked at: the last one chosen, where this model has it."""
    wanted = st.session_state.get(_CHOSEN)
    return (of.result.index(wanted) if wanted is not None else None) or 0


def _choose(of: Assessment, k: int) -> None:
    st.session_state[_CHOSEN] = of.result.conditions[k].phecode


def _show_conditions(of: Assessment, number: int, tables: dict[float | None, pd.DataFrame]) -> pd.DataFrame:
    """Draw the table with its search; return it whole."""
    years = years_known(of)
    if not years:
        st.info(plain(f"Ranks only. {of.ranks_only(0)}"), icon=":material/format_list_numbered:")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        search = st.text_input("Search", placeholder="Phecode or part of a name", key="risk search", width=260)
        year = None
        if years:
            usual = min(range(len(years)), key=lambda i: abs(years[i] - _USUAL_YEAR))
            year = st.selectbox(
                "Years after the night", years, index=usual, format_func="{:g}".format, key=f"risk year {number}", width=150
            )
        if year not in tables:
            tables[year] = condition_table(of, year)
        table = tables[year]
        export_button(
            "Table as CSV",
            lambda: table_csv(table),
            f"{result_name(of.result)}_risk.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
    listed = in_order(found(table, search))
    if _CHOSEN not in st.session_state and len(listed):
        _choose(of, int(listed.index[0]))
    if listed.empty:
        st.caption(f"Nothing matches “{plain(search)}” among {len(table)} conditions.")
        return table
    shown = screen_table(listed)
    key = f"risk table {number} {search}"
    places = listed.index.tolist()
    chosen = _chosen(of)
    # the table marks what is chosen, also when it was chosen elsewhere
    st.session_state[key] = {
        "selection": {"rows": [places.index(chosen)] if chosen in places else [], "columns": [], "cells": []}
    }

    def picked() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows:
            _choose(of, places[rows[0]])

    st.dataframe(
        shown,
        key=key,
        hide_index=True,
        height=min(_TABLE_PX, _ROW_PX * (len(shown) + 1) + 4),
        row_height=_ROW_PX,
        column_config=_columns(shown),
        on_select=picked,
        selection_mode="single-row",
        placeholder="–",
        alt="Conditions of the model with their scores",
    )
    return table


def _columns(shown: pd.DataFrame) -> dict[str, Any]:
    formats = {"Log hazard": "%.2f", "Percentile": "%.0f", "C-index": "%.2f", "C age + sex": "%.2f", "n": "%d", "Events": "%d"}
    helps = {
        "Log hazard": "The score: relative to other people, no probability.",
        "95 % interval": "Bootstrap over 5-min windows: how much the score depends on which parts of the night were seen.",
        "Percentile": "How many per cent of the reference people have a lower score.",
        "Rank": "Among this library's nights with a result by the same weights for the age and sex that the tables state, real "
        "and simulated ones apart; 1 is the highest.",
        "Age + sex, %": "The same probability from a model that knows age and sex only.",
        "C-index": "How well the model orders people by time to the event: 0.5 is chance, 1 is perfect. From held-out people.",
        "C age + sex": "The C-index of age and sex alone, on the same people.",
        "n": "Held-out people with a known follow-up.",
        "Beside age and sex": "Whether the model orders people better than age and sex alone do (one-sided test, corrected for "
        "the number of conditions).",
    }
    columns: dict[str, Any] = {}
    for name in shown.columns:
        if pd.api.types.is_numeric_dtype(shown[name]):
            free = "Probability of no event until then, with its band." if name.startswith("Free at") else None
            columns[name] = st.column_config.NumberColumn(
                format=formats.get(name, "%.1f"), help=helps.get(name, free), width=_WIDTHS.get(name, 80)
            )
        else:
            columns[name] = st.column_config.TextColumn(help=helps.get(name), width=_WIDTHS.get(name))
    return columns


def _show_condition(of: Assessment, table: pd.DataFrame, k: int, number: int) -> None:
    """Draw what is known of one condition: its facts beside its curve, its reasons as a figure beside the same as a table."""
    result = of.result
    names = {j: f"{printable(one.phecode)} · {printable(one.phenotype)}" for j, one in enumerate(result.conditions)}
    key = f"risk pick {number}"
    st.session_state[key] = k
    st.selectbox(
        "Condition",
        list(names),
        format_func=names.__getitem__,
        key=key,
        on_change=lambda: _choose(of, st.session_state[key]),
        width=480,
    )
    stem = f"{result_name(result)}_{result.conditions[k].phecode}"
    left, right = st.columns(2, gap="medium")
    with left:
        facts = condition_facts(table.iloc[k].to_dict())
        st.dataframe(
            pd.DataFrame(facts, columns=["", "This night", "Age and sex alone"]),
            hide_index=True,
            height="content",
            row_height=_ROW_PX,
            key=f"risk facts {number}",
            alt="What is known of this condition",
        )
        if of.reference is not None:
            st.caption(plain(f"Reference people: {of.reference.data}."))
        if years_known(of) and (why := of.ranks_only(k)):
            st.info(plain(f"Ranks only. {why}"), icon=":material/format_list_numbered:")
    with right:
        _show_curve(of, k, stem)
    _show_reasons(of, k, stem, number)


def _show_curve(of: Assessment, k: int, stem: str) -> None:
    curve = of.curve(k)
    if curve is None:
        return
    beside = of.demographics_curve(k)
    show_chart(
        event_free_figure(curve, beside),
        f"{stem}_event-free",
        key="risk curve",
        alt=f"Probability of no event over {curve.years[-1]:g} years, with 95 % band",
    )
    missing = "" if beside is not None else " There is no model of age and sex alone to set beside it."
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(plain(f"{BAND_WORDS}{missing}"), width="stretch")
        export_button(
            "Curve as CSV",
            curve_csv(of.result.study, of.result.model, of.result.conditions[k].phecode, curve, beside),
            f"{stem}_event-free.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )


def _show_reasons(of: Assessment, k: int, stem: str, number: int) -> None:
    against = of.reference if of.of_reference(k) is not None else None
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.markdown("**Change of the score by signal**", width="content")
        if against is not None:
            choices = ["Relative to the reference", "Raw"]
            how = st.segmented_control(
                "Changes", choices, default=choices[0], required=True, key="risk raw", label_visibility="collapsed"
            )
            against = against if how == choices[0] else None
        steps = reasons(of.result, k, against)
        export_button(
            "Steps as CSV",
            reasons_csv(of.result, k, against),
            f"{stem}_reasons.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
    left, right = st.columns(2, gap="medium")
    show_chart(
        waterfall(steps),
        f"{stem}_reasons",
        place=left,
        key="risk waterfall",
        alt="Steps from the start to the score; the table beside it has the same numbers",
    )
    right.dataframe(
        reasons_table(steps),
        hide_index=True,
        height="content",
        row_height=_ROW_PX,
        key=f"risk reasons {number}",
        alt="The steps as numbers",
    )
    st.caption(plain(MEASURED_FROM[against is not None]))


def _show_night(of: Assessment, k: int, study: Study, stages: np.ndarray | None, number: int) -> None:
    result, stem = of.result, f"{result_name(of.result)}_{of.result.conditions[k].phecode}"
    windows = window_changes(result.window_start_s, result.window_stop_s, result.occlusion_wk[:, k], stages)
    st.markdown("**Change of the score over the night**")
    if not windows:
        st.caption("The night is too short to leave a window out.")
        return
    opened = show_chart(
        night_figure(
            windows, stages=stages, start=study.start, duration_s=study.duration_s, assessed_s=(result.start_s, result.stop_s)
        ),
        f"{stem}_night",
        key=f"risk night {number}",
        on_select="rerun",
        selection_mode="points",
        alt="Change of the score of each 5-min window below the hypnogram; the list below has the strongest windows",
    )
    open_window = _opener(study.id)
    if opened.selection.points:
        open_window(opened.selection.points[0]["customdata"])
    st.caption(plain(night_words(staged=stages is not None)))
    ordered = strongest(windows)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        one = st.selectbox(
            "Strongest windows",
            ordered,
            format_func=lambda w: window_words(w, study.start),
            key=f"risk windows {number} {k}",
            width=470,
        )
        if st.button("See traces", icon=":material/monitor_heart:", help="On the Review page, at this window"):
            open_window(one.epoch)
        export_button(
            "Windows as CSV",
            windows_csv(study.id, result.model, result.conditions[k].phecode, windows, study.start),
            f"{stem}_windows.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )


def _opener(study: str) -> Callable[[object], None]:
    def open_window(epoch: object) -> None:
        # Plotly hands customdata back as the number or as a list of it
        first = epoch[0] if isinstance(epoch, list | tuple) else epoch
        st.switch_page("pages/review.py", query_params={"study": study, "epoch": str(first)})

    return open_window

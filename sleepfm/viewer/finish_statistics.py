"""The statistics of a night as a table: numbers, intervals, definitions, and what others count."""

from __future__ import annotations

import csv
import io
import json

import pandas as pd
import streamlit as st

from sleepfm.analysis.sleep_statistics import NightStatistics, Statistic
from sleepfm.analysis.statistic_definitions import GROUPS
from sleepfm.library.ahi_rule import AhiRule
from sleepfm.recording.scorings.tables import spreadsheet_safe
from sleepfm.text import plain
from sleepfm.viewer.role_widgets import export_button

COLUMNS = ("Key", "Name", "Group", "Value", "Bound", "Unit", "Low", "High", "Interval note", "Why none", "Definition", "Others")
"""Of the CSV, one row a number."""


TABLE_PX = 1500
"""Wider, and a number is far from what it means."""


def show_statistics(statistics: NightStatistics, *, study: str, rule: AhiRule | None = None) -> None:
    """Draw the statistics of a study with the buttons that export them.

    Parameters
    ----------
    rule
        By which a program scored the events that the AHI counts.
    """
    for remark in statistics.remarks:
        st.markdown(f":material/info: {plain(remark)}")
    with st.container(width=TABLE_PX):
        st.table(statistics_table(statistics, rule), border="horizontal", hide_index=True, alt="Statistics of the night")
    if statistics.intervals:
        st.caption(plain(statistics.intervals))
    with st.container(horizontal=True):
        export_button(
            "Statistics as CSV",
            statistics_csv(statistics),
            file_name=f"{study}-statistics.csv",
            mime="text/csv",
            key=f"statistics csv {study}",
        )
        export_button(
            "Statistics as JSON",
            json.dumps(statistics.as_dict(), indent=1, ensure_ascii=False),
            file_name=f"{study}-statistics.json",
            mime="application/json",
            key=f"statistics json {study}",
        )


def statistics_table(statistics: NightStatistics, rule: AhiRule | None = None) -> pd.DataFrame:
    """Return a row for each number, and one above each group, as Markdown; the interval's column only where there are some.

    Under the AHI stands what stricter and looser rules make of it, where a program tried them.
    """
    rows = []
    for group in GROUPS:
        rows.append({"Number": f"**{group}**"})
        for item in statistics.items:
            if item.group == group:
                rows.append(_row(item))
            if item.key == "ahi" and item.group == group and rule is not None:
                rows.append(_rule_row(rule))
    table = pd.DataFrame(rows, columns=["Number", "Value", _INTERVAL, "What is counted", "Elsewhere"]).fillna("")
    return table if statistics.intervals else table.drop(columns=_INTERVAL)


_INTERVAL = "95\u00a0%, from uncertain stages"


def _row(item: Statistic) -> dict[str, str]:
    counted = plain(item.definition)
    note = f" ({item.interval_note})" if item.interval_note else ""
    return {
        "Number": plain(item.name),
        "Value": f"**{plain(item.text).replace(' ', _NO_BREAK)}**" if item.value is not None else "–",
        _INTERVAL: plain(item.interval).replace(" ", _NO_BREAK) + plain(note),
        "What is counted": (f"*{plain(item.remark)}* " if item.remark else "") + counted
        if item.value is not None
        else f"*None: {plain(item.why_none)}.* {counted}",
        "Elsewhere": plain(item.others),
    }


def _rule_row(rule: AhiRule) -> dict[str, str]:
    return {
        "Number": plain(f"AHI by rule, {rule.maker}"),
        "Value": f"**{plain(rule.range).replace(' ', _NO_BREAK)}**" if rule.range else "–",
        "What is counted": plain(rule.sentence),
    }


_NO_BREAK = "\u00a0"


def statistics_csv(statistics: NightStatistics) -> bytes:
    """Return all numbers as CSV in UTF-8; an undefined one is an empty cell with its reason."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for item in statistics.items:
        numbers = ["" if one is None else f"{one:.10g}" for one in (item.value, item.low, item.high)]
        words = [item.interval_note, item.why_none, item.definition, item.others]
        table.writerow(
            [
                spreadsheet_safe(item.key),
                spreadsheet_safe(item.name),
                item.group,
                numbers[0],
                item.bound,
                item.unit,
                *numbers[1:],
                *map(spreadsheet_safe, words),
            ]
        )
    return text.getvalue().encode()

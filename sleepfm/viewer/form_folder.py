"""Dividing the people of a folder that has no lists yet: who is trained on, and how even the lists are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import streamlit as st

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.library.library import Library
from sleepfm.library.subsets import SHARES
from sleepfm.library.training_lists import divide
from sleepfm.text import plain, printable
from sleepfm.training.splits import Splits, write_splits
from sleepfm.viewer.form_cohort import Cohort, cohort_of, groups_of
from sleepfm.viewer.form_data_source import list_rows
from sleepfm.viewer.form_draft import Draft
from sleepfm.viewer.form_fields import FieldDrawer
from sleepfm.viewer.form_shares import ask_seed, ask_shares, whole
from sleepfm.viewer.signed_in import acting


def show_folder_division(library: Library, draft: Draft, folder: Path, then: Callable[[], None]) -> None:
    """Let the people of a folder be divided, and its splits.json be written; `then` is done when it is there."""
    with st.container(border=True):
        try:
            cohort = cohort_of(folder)
            splits = _asked(draft, cohort)
        except SleepFMError as error:
            FieldDrawer.say(str(error))
            return
        if splits is None:
            return
        st.dataframe(list_rows(splits, cohort.subject_of, cohort.about), hide_index=True)
        for note in cohort.notes:
            st.caption(plain(note))
        if st.button("Write splits.json", type="primary", key=draft.beside("divide write")):
            try:
                with acting(library, "divide folder", str(folder), {"studies": len(cohort.subject_of)}):
                    _write(splits, folder / "splits.json")
            except SleepFMError as error:
                FieldDrawer.say(str(error))
                return
            then()
            st.rerun()


def _asked(draft: Draft, cohort: Cohort) -> Splits | None:
    def key(name: str) -> str:
        return draft.beside(f"divide {name}")

    st.caption("No splits.json there yet: its people are divided here, so that nobody stands in two lists.")
    columns = st.columns(6)
    shares = ask_shares(columns, key, SHARES)
    offered = ["", *sorted(cohort.columns)]
    if st.session_state.get(key("by")) not in offered:
        st.session_state[key("by")] = ""
    by = columns[4].selectbox(
        "Even by",
        offered,
        key=key("by"),
        format_func=lambda one: printable(one) if one else "nothing",
        help="Lists are always of different people. Each group of this column of cohort.csv is divided for itself, so that every"
        " list has people of every group.",
        persist_state="session",
    )
    seed = ask_seed(columns[5], key)
    if not whole(shares):
        return None
    strata: Mapping[str, str] | None = groups_of(cohort, by) if by else None
    return divide(cohort.subject_of, shares, seed, strata=strata, by=by or None)


def _write(splits: Splits, path: Path) -> None:
    if path.exists():
        raise RequestError(f"{path}: has been made meanwhile by somebody else; nothing was written")
    try:
        write_splits(splits, path)
    except OSError as error:
        raise RequestError(
            f"{path}: cannot be written ({error.strerror}); make it elsewhere with `sleepfm splits` and choose it under Files"
        ) from None

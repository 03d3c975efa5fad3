"""Settings: whether uploaded recordings are de-identified before they are stored."""

from __future__ import annotations

import streamlit as st

from sleepfm.administration.app_settings import AppSettings
from sleepfm.library.library import Library
from sleepfm.viewer.settings_actions import change

_HOW: dict[str, str] = {
    "as they are": "As they are",
    "de-identified": "De-identified: names, codes, dates and free texts are taken out",
    "de-identified but for age and sex": "De-identified, but age and sex stay in the header",
}


def show_uploads(library: Library, settings: AppSettings) -> None:
    """Show how recordings that are dropped on the Studies page are stored, and change it."""
    st.divider()
    with st.form("uploads", border=False):
        how = st.radio(
            "Recordings that are dropped on the Studies page are stored",
            list(_HOW),
            index=list(_HOW).index(settings.uploads),
            format_func=_HOW.__getitem__,
            help="EDF and BDF. The samples and the time of day stay; the file gets a new name, and the copy is searched for every"
            " word and date of its header before it is kept. Files that are named by their path are never changed.",
        )
        if st.form_submit_button("Save"):
            change(library, "uploads", "Saved; it holds for what is dropped from now on.", uploads=how)

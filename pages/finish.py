from __future__ import annotations

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.errors import SleepFMError
from sleepfm.library.library import Library
from sleepfm.library.study import Study
from sleepfm.text import plain
from sleepfm.viewer.signed_in import require
from sleepfm.viewer.visits import last_study

CHOICES = 200  # studies offered in the list at the top; the others are opened from the Studies page
STUDY = "finish study"


def choose_study(library: Library) -> Study | None:
    """Let the user choose a study: at first that of the address, else the one looked at last, else the newest."""
    ids = [one.id for one in library.studies(limit=CHOICES)]
    if not ids:
        st.info("No studies yet: add a recording on the Studies page.", icon=":material/bedtime:")
        st.page_link("pages/studies.py", label="To the studies")
        return None
    wanted = st.query_params.get("study") or st.session_state.get(STUDY) or last_study(st.session_state)
    try:
        study = library.study(wanted or ids[0])
    except SleepFMError as error:
        st.error(plain(str(error)))
        st.page_link("pages/studies.py", label="To the studies")
        return None
    if study.id not in ids:
        ids.insert(0, study.id)
    chosen = st.selectbox("Study", ids, index=ids.index(study.id), key=f"finish study of {study.id}", width=210)
    if chosen != study.id:
        st.query_params["study"] = chosen
        st.rerun()
    if st.query_params.to_dict() != {"study": study.id}:  # the browser's way back brings the Review page's epoch along
        st.query_params.from_dict({"study": study.id})
    st.session_state[STUDY] = study.id
    return study


def main() -> None:
    """Draw the page."""
    require(Role.VIEWER)
    with Library.open() as library:
        choose_study(library)


main()

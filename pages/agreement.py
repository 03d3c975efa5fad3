from __future__ import annotations

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.library.library import Library
from sleepfm.viewer.signed_in import require


def main() -> None:
    """Draw the page."""
    require(Role.VIEWER)
    with Library.open() as library:
        if not library.count():
            st.info("No studies yet: add a recording on the Studies page.", icon=":material/bedtime:")
            st.page_link("pages/studies.py", label="To the studies")


main()

from __future__ import annotations

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.viewer.signed_in import require


def main() -> None:
    """Draw the page."""
    require(Role.SCORER)
    st.caption("Every recording of a folder or a list, each in a process of its own; what is done stays done.")


main()

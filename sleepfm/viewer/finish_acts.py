"""What is done to a scoring on the Finish page: asked of a scorer, and said how it went on the next run."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.errors import SleepFMError
from sleepfm.text import plain
from sleepfm.viewer.signed_in import require

_SAID = "sign-off said"


def act(said: str, does: Callable[[str], None]) -> None:
    """Do what a scorer may, given their name, and say how that went on the next run of the page."""
    user = require(Role.SCORER)
    try:
        does(user.name)
    except SleepFMError as error:
        refuse(str(error))
    st.session_state[_SAID] = ("success", said)
    st.rerun()


def refuse(why: str) -> NoReturn:
    """Say on the next run of the page why something was not done."""
    st.session_state[_SAID] = ("error", why)
    st.rerun()


def show_said() -> None:
    """Say once how the last act went, in a place that stays: what is open below would be mounted anew, and closed by it."""
    kind, said = st.session_state.pop(_SAID, ("", ""))
    with st.container():
        if said:
            (st.error if kind == "error" else st.success)(plain(said))

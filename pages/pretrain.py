from __future__ import annotations

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.library.library import Library
from sleepfm.library.training_runs import run_kind
from sleepfm.training.settings import PretrainSettings
from sleepfm.viewer.form_fields import FieldDrawer
from sleepfm.viewer.form_page import STYLE, asked_run, fill_from, open_draft, show_form, show_presets
from sleepfm.viewer.signed_in import require

WHAT = "pretrain"


def main() -> None:
    """Draw the page."""
    require(Role.ADMIN)
    st.html(STYLE)
    with Library.open() as library:
        draft = open_draft(library, WHAT, PretrainSettings)
        job = asked_run(library)
        if job is not None and run_kind(job) == WHAT:
            fill_from(library, draft, job)
        elif job is not None:
            st.error("That run trained a head: open it under Fine-tune.")

        def head(drawer: FieldDrawer) -> None:
            show_presets(library, draft, drawer)

        show_form(library, draft, head=head, rest="Start and validation")


main()

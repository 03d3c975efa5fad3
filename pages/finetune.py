from __future__ import annotations

from contextlib import suppress

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.errors import RequestError
from sleepfm.inference.simulated_models import simulated_warning
from sleepfm.library.library import Library
from sleepfm.library.training_runs import run_kind
from sleepfm.models.shelf import Shelf
from sleepfm.text import plain, printable
from sleepfm.training.finetune_settings import SETTINGS_OF, NightData
from sleepfm.viewer.form_curve_panel import show_curve
from sleepfm.viewer.form_data import take_data_of_run
from sleepfm.viewer.form_draft import Draft
from sleepfm.viewer.form_fields import FieldDrawer
from sleepfm.viewer.form_page import STYLE, asked_run, fill_from, open_draft, show_form, show_presets
from sleepfm.viewer.form_start import RunSettings
from sleepfm.viewer.signed_in import require
from sleepfm.viewer.similar_encoders import EncoderChoice, encoder_choices, first_choice

TASK = "fine-tune task"
TITLES = {"staging": "Sleep stages", "breathing": "Breathing", "disease": "Disease risk"}


def choose_task() -> None:
    """Take the task of the address, once."""
    asked = st.query_params.get("task")
    if asked in SETTINGS_OF and st.session_state.get("fine-tune asked task") != asked:
        st.session_state[TASK] = asked
    st.session_state["fine-tune asked task"] = asked
    st.session_state.setdefault(TASK, "staging")


def choose_encoder(shelf: Shelf, draft: Draft) -> None:
    """Take the encoder of the address, once; in a new form the one trained on real recordings."""
    asked = st.query_params.get("encoder")
    if asked and st.session_state.get(draft.beside("asked encoder")) != asked:
        draft.change({("encoder",): asked})
    st.session_state[draft.beside("asked encoder")] = asked
    if not draft.content.get("encoder"):
        first = first_choice(shelf)
        if first is not None:
            draft.change({("encoder",): first})


def choose_data(library: Library, draft: Draft) -> None:
    """Take the data of the run that the address names, once."""
    asked = st.query_params.get("data")
    if asked and st.session_state.get(draft.beside("asked data")) != asked:
        with suppress(RequestError):  # there is no such run
            take_data_of_run(library, draft, library.jobs.get(asked))
    st.session_state[draft.beside("asked data")] = asked


def show_encoder(encoders: list[EncoderChoice], draft: Draft, drawer: FieldDrawer) -> None:
    """Show the encoders of the shelf, and what to think of the one that is chosen."""
    labels = {one.name: printable(one.label) for one in encoders}
    now = draft.content.get("encoder") or None
    options = [*labels, *([now] if now and now not in labels else [])]
    key = draft.key(("encoder",))
    if key not in st.session_state:
        draft.begun[key] = now
    begun = draft.begun.get(key, now)
    st.selectbox(
        "Encoder",
        options,
        options.index(begun) if begun in options else None,
        key=key,
        format_func=lambda name: labels.get(name, printable(name)),
        placeholder="Choose an encoder" if options else "no encoder on the shelf",
        on_change=lambda: draft.set(("encoder",), st.session_state[key]),
        help="Whose embeddings the head learns from.",
    )
    if words := drawer.problems.get(("encoder",)):
        drawer.say("choose one" if not now else words)


def say_about_encoder(encoders: list[EncoderChoice], draft: Draft) -> None:
    """Warn of an encoder that was trained on simulated recordings, and say how to come by one where there is none."""
    if not encoders:
        st.info(
            "No encoder is on the shelf: pretrain one, or fetch the published one with `sleepfm models fetch official`.",
            icon=":material/inventory_2:",
        )
    chosen = next((one for one in encoders if one.name == draft.content.get("encoder")), None)
    if chosen is not None and chosen.simulated:
        st.warning(plain(simulated_warning(chosen.name, simulated_recording=False)), icon=":material/science:")


def main() -> None:
    """Draw the page."""
    require(Role.ADMIN)
    st.html(STYLE)
    with Library.open() as library:
        job = asked_run(library)
        what = None if job is None else run_kind(job)
        choose_task()
        if what in SETTINGS_OF:
            st.session_state[TASK] = what
        elif what is not None:
            st.error("That run trained an encoder: open it under Pretrain.")
        task = st.session_state[TASK]
        before = st.session_state.get("fine-tune shown", task)
        st.session_state["fine-tune shown"] = task
        shelf = Shelf(library.home.models)
        draft = open_draft(library, task, SETTINGS_OF[task], like=before)
        if job is not None and what == task:
            fill_from(library, draft, job)
        choose_encoder(shelf, draft)
        choose_data(library, draft)
        encoders = encoder_choices(shelf, named=draft.content.get("encoder"))

        def head(drawer: FieldDrawer) -> None:
            left, right = st.columns([1.15, 1])
            left.segmented_control(
                "Fine-tune for",
                list(SETTINGS_OF),
                key=TASK,
                format_func=TITLES.__getitem__,
                required=True,
                persist_state="session",
                help="What the head is to say of a night.",
            )
            with right:
                show_encoder(encoders, draft, drawer)
            say_about_encoder(encoders, draft)
            show_presets(library, draft, drawer)

        def below(settings: RunSettings | None) -> None:
            if task == "staging":
                data = None if settings is None else settings.data
                show_curve(library, draft, data if isinstance(data, NightData) else None)

        show_form(library, draft, head=head, rest="Labels, loss and memory", below=below)


main()

"""What the two pages of training forms have in common: opening a form, filling it from a run, and its two columns."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from pydantic import BaseModel

from sleepfm.administration.app_settings import read_settings
from sleepfm.errors import SleepFMError
from sleepfm.library.library import Library
from sleepfm.library.training_runs import run_kind, settings_of
from sleepfm.runs.table import TRAINING_KINDS, Job
from sleepfm.text import plain
from sleepfm.viewer.form_config import show_configuration
from sleepfm.viewer.form_data import forget_source, show_data, take_data_of, take_made_dataset
from sleepfm.viewer.form_data_source import DATA_NAMES
from sleepfm.viewer.form_draft import Draft, Place, read_draft
from sleepfm.viewer.form_fields import FieldDrawer
from sleepfm.viewer.form_presets import PRESETS, apply_preset, free_name
from sleepfm.viewer.form_schema import Group, fields_of
from sleepfm.viewer.form_start import RunSettings, show_start
from sleepfm.viewer.form_world import taken_names, world_problems

STYLE = """<style>
.stMainBlockContainer { padding: 3.6rem 1.2rem 1rem 1.2rem; }
.stMainBlockContainer > .stVerticalBlock { gap: 0.5rem; }
.stMainBlockContainer [data-testid="stElementContainer"]:has(> .stHtml) { display: none; }
.stMainBlockContainer [data-testid="stTextInputRootElement"] input,
.stMainBlockContainer [data-testid="stSelectbox"] input { padding-top: 5px; padding-bottom: 5px; }
@media (min-width: 1000px) {
  .stColumn:has(.st-key-form-side) {
    position: sticky; top: 3.6rem; align-self: flex-start; max-height: calc(100vh - 4rem); overflow-y: auto;
  }
}
.stMainBlockContainer [class*="-found"] ul { padding-left: 0.2rem; margin-left: 0; list-style: none; }
.stMainBlockContainer [class*="-found"] li { margin-left: 0; font-size: 0.86rem; line-height: 1.35; }
.stMainBlockContainer [class*="-found"] li p { font-size: 0.86rem; }
</style>"""
FORM_SHARE, SIDE_SHARE = 2.25, 1.0


def open_draft(library: Library, what: str, kind: type[BaseModel], *, like: str | None = None) -> Draft:
    """Return the form of what is trained (`pretrain`, or a task), begun with the first preset.

    Parameters
    ----------
    like
        The form that a new one takes its encoder and data from.
    """
    key = f"form {what}"
    if key not in st.session_state:
        draft = Draft(what, kind)
        other: Draft | None = st.session_state.get(f"form {like}")
        if other is not None and other.page != what:
            if encoder := other.content.get("encoder"):
                draft.content["encoder"] = encoder
            take_data_of(library, draft, other)
        apply_preset(draft, PRESETS[what][0], taken_names(library), read_settings(library.home))
        st.session_state[key] = draft
    opened: Draft = st.session_state[key]
    return opened


def asked_run(library: Library) -> Job | None:
    """Return the run that the address asks to begin from, once; what is wrong with it is said."""
    asked = st.query_params.get("from")
    if not asked or st.session_state.get("form from") == asked:
        return None
    st.session_state["form from"] = asked
    try:
        job = library.jobs.get(asked)
        run_kind(job)
    except SleepFMError as error:
        st.error(plain(str(error)))
        return None
    return job


def fill_from(library: Library, draft: Draft, job: Job) -> None:
    """Fill a form from a run; its model's name is taken, so it gets a number."""
    try:
        content = settings_of(job).model_dump(mode="json")
    except SleepFMError as error:
        st.error(plain(str(error)))
        return
    content["name"] = free_name(content["name"], taken_names(library))
    draft.fill(content)
    draft.parent, draft.preset, draft.preset_content = job.id, "", {}
    forget_source(draft)


def show_form(
    library: Library,
    draft: Draft,
    *,
    head: Callable[[FieldDrawer], None],
    rest: str,
    below: Callable[[RunSettings | None], None] | None = None,
) -> None:
    """Draw a form: presets, name, data and settings on the left; check, start and the configuration on the right.

    Parameters
    ----------
    head
        Draws what stands above the data.
    rest
        The title of the box of settings that belong to no group.
    below
        Draws what stands under the form on the left.
    """
    task = None if draft.page == "pretrain" else draft.page
    take_made_dataset(library, draft)
    settings, problems = _read(library, draft)
    left, right = st.columns([FORM_SHARE, SIDE_SHARE], gap="medium")
    drawer = FieldDrawer(draft, problems)
    with left:
        head(drawer)
        with st.container(border=True):
            show_data(library, draft, drawer)
        groups = [one for one in fields_of(draft.kind) if isinstance(one.shape, Group) and one.name != "data"]
        for one in sorted(groups, key=lambda one: one.name != "training"):
            drawer.group(one)
        drawer.box(rest, draft.kind, without=("name", "encoder", *DATA_NAMES))
        if below is not None:
            below(settings)
    with right, st.container(key="form-side"):
        show_start(library, draft, task, settings, problems)
        show_configuration(draft, settings, _last(library, draft))


def _read(library: Library, draft: Draft) -> tuple[RunSettings | None, dict[Place, str]]:
    settings, problems = read_draft(draft.kind, draft.content)
    for place, words in world_problems(library, draft.kind, draft.content).items():
        problems.setdefault(place, words)
    return (None if problems else settings), problems  # type: ignore[return-value]


def _last(library: Library, draft: Draft) -> tuple[str, dict[str, object]] | None:
    """Return the last run of the same kind, by its model's name, with its settings."""
    for job in library.jobs.list(kinds=TRAINING_KINDS, limit=50):
        if run_kind(job) == draft.page:
            try:
                return str(job.subject), settings_of(job).model_dump(mode="json")
            except SleepFMError:
                continue  # one of another version: the one before it will do
    return None


def show_presets(library: Library, draft: Draft, drawer: FieldDrawer) -> None:
    """Show the presets and the model's name."""
    titles = {one.title: one for one in PRESETS[draft.page]}
    key, taken, machine = draft.beside("preset"), taken_names(library), read_settings(library.home)
    if st.session_state.get(key) != (draft.preset or None):
        st.session_state[key] = draft.preset or None

    def chose() -> None:
        title = st.session_state[key]
        if title is None:  # clicked again: the preset as it was
            title = draft.preset
        if title:
            apply_preset(draft, titles[title], taken, machine)

    presets, name = st.columns([2.4, 1])
    presets.segmented_control(
        "Pretrain with preset" if draft.page == "pretrain" else "Preset",
        list(titles),
        key=key,
        on_change=chose,
        help=plain(" ".join(f"{one.title}: {one.words}" for one in titles.values())),
    )
    with name:
        drawer.field(next(one for one in fields_of(draft.kind) if one.name == "name"))
    chosen = titles.get(draft.preset)
    if chosen is not None:
        st.caption(plain(chosen.words))
    elif draft.parent is not None:
        st.caption(plain(f"A copy of run {draft.parent}, to be changed."))

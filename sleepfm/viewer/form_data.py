"""The part of a training form that says what is trained on: a dataset of the library, a folder, or single files."""

from __future__ import annotations

import copy
from contextlib import suppress
from pathlib import Path

import streamlit as st

from sleepfm.administration.readable_folders import require_readable
from sleepfm.errors import SleepFMError
from sleepfm.library.library import Library
from sleepfm.library.training_data import Dataset, datasets
from sleepfm.library.training_runs import settings_of as settings_of_run
from sleepfm.runs.table import Job
from sleepfm.text import printable
from sleepfm.training.config_files import MISSING
from sleepfm.training.settings import DataSettings
from sleepfm.training.splits import Splits
from sleepfm.viewer.form_data_source import (
    DATA_NAMES,
    DataPaths,
    UndividedError,
    about_listed,
    balance_rows,
    in_folder,
    list_rows,
    no_data,
    of_dataset,
    read_lists,
    settings_of,
    training_people,
)
from sleepfm.viewer.form_dataset import show_dataset_maker, show_dataset_work
from sleepfm.viewer.form_draft import Draft
from sleepfm.viewer.form_fields import FieldDrawer
from sleepfm.viewer.form_folder import show_folder_division
from sleepfm.viewer.form_schema import REMOVE, at, fields_of

DATASET, FOLDER, FILES = "Dataset", "Folder", "Files"
NEW = "New dataset …"


def show_data(library: Library, draft: Draft, drawer: FieldDrawer) -> None:
    """Let the data be chosen, and show who would be in which list."""
    key, state = draft.beside("source"), st.session_state
    if key not in state:
        state[key] = _source(library, draft)
    source, what = st.columns([1.15, 3])
    with source:
        chosen = st.segmented_control(
            "Data from",
            [DATASET, FOLDER, FILES],
            key=key,
            required=True,
            help="A dataset made of the library's studies; a folder with signals and cohort.csv; or each file by its path.",
            on_change=lambda: _take_shown(library, draft),
            persist_state="session",
        )
    there = datasets(library.home)
    with what:
        if chosen == DATASET:
            _show_datasets(there, draft)
        elif chosen == FOLDER:
            _show_folder(library, draft)
    if chosen == FOLDER and (refused := state.get(draft.beside("folder refused"))):
        drawer.say(refused)
    undivided = state.get(draft.beside("folder undivided"))
    if chosen == FOLDER and undivided and (Path(undivided) / "splits.json").is_file():
        _take_folder(library, draft)  # its lists have been made elsewhere meanwhile
        st.rerun()
    if chosen == FOLDER and undivided:
        show_folder_division(library, draft, Path(undivided), then=lambda: _take_folder(library, draft))
        return
    if chosen == DATASET:
        show_dataset_work(library, draft)
        if state[draft.beside("dataset")] == NEW:
            show_dataset_maker(library, draft)
            return
    if chosen == FILES:
        drawer.settings(DataSettings, ("data",), without=("lists", "fraction", "trained_on"), columns=2)
        _show_files_beside(draft, drawer)
    show_lists(there, draft, drawer)


def forget_source(draft: Draft) -> None:
    """Ask anew where the data come from: the form was filled from elsewhere."""
    for name in ("source", "dataset", "folder", "folder refused", "folder undivided"):
        st.session_state.pop(draft.beside(name), None)


def take_made_dataset(library: Library, draft: Draft) -> None:
    """Choose the dataset that was asked for on this page, once it is there."""
    state, wanted = st.session_state, draft.beside("dataset wanted")
    if wanted not in state:
        return
    made = next((one for one in datasets(library.home) if one.name == state[wanted]), None)
    if made is not None:
        del state[wanted]
        state[draft.beside("dataset")] = made.name
        state.pop(draft.beside("new name"), None)  # the next one gets another
        _use(draft, of_dataset(made))


def take_data_of_run(library: Library, draft: Draft, job: Job) -> None:
    """Take the dataset or folder that a run was trained on, with the labels that this form needs of it."""
    with suppress(SleepFMError):  # of another version, or not there any more: then it is chosen by hand
        splits = settings_of_run(job).data.splits
        made = next((one for one in datasets(library.home) if one.splits == splits), None)
        paths = in_folder(require_readable(library.home, splits.parent)) if made is None else of_dataset(made)
        if paths.splits == splits:
            _use(draft, paths)
            forget_source(draft)


def take_data_of(library: Library, draft: Draft, other: Draft) -> None:
    """Begin a new form with the data of another: the same dataset or folder, with the labels that this form needs of it."""
    state = st.session_state
    source = state.get(other.beside("source"))
    for name in ("source", "dataset", "folder"):
        if (value := state.get(other.beside(name))) is not None:
            state[draft.beside(name)] = value
    if source == DATASET:
        chosen = next((one for one in datasets(library.home) if one.name == state.get(other.beside("dataset"))), None)
        if chosen is not None:
            _use(draft, of_dataset(chosen))
    elif source == FOLDER:
        _take_folder(library, draft)
    elif source == FILES:
        draft.change({("data",): copy.deepcopy(other.content["data"])})


def _show_files_beside(draft: Draft, drawer: FieldDrawer) -> None:
    """Draw the paths of labels that the task has beside its data."""
    beside = [one for one in fields_of(draft.kind) if one.name in DATA_NAMES]
    for column, one in zip(st.columns(max(len(beside), 1)), beside, strict=False):
        with column:
            drawer.field(one)


def _source(library: Library, draft: Draft) -> str:
    """Return where the data that the form holds come from."""
    splits = at(draft.content, ("data", "splits"))
    there = datasets(library.home)
    if not splits:
        return DATASET if there or library.count() else FOLDER
    named = next((one.name for one in there if str(one.splits) == splits), None)
    if named is not None:
        st.session_state[draft.beside("dataset")] = named
        return DATASET
    folder = Path(splits).parent
    if _says(library, draft, folder):
        st.session_state[draft.beside("folder")] = str(folder)
        return FOLDER
    return FILES


def _says(library: Library, draft: Draft, folder: Path) -> bool:
    """Tell whether the form holds what choosing this folder would put into it, whatever lists are trained on."""
    try:
        paths = in_folder(require_readable(library.home, folder))
    except SleepFMError:
        return False
    found = settings_of(draft.kind, paths, Splits((), (), (), ()))
    return all(
        at(draft.content, place) == value for place, value in found.items() if place[-1] != "lists" and value is not REMOVE
    )


def _show_datasets(made: list[Dataset], draft: Draft) -> None:
    there = {one.name: one for one in made}
    key, state = draft.beside("dataset"), st.session_state
    if state.get(key) not in there:
        state[key] = NEW if not there or state.get(key) == NEW else None

    def chose() -> None:
        if state[key] in there:
            _use(draft, of_dataset(there[state[key]]))
        else:
            draft.change(no_data(draft.kind))

    st.selectbox(
        "Dataset",
        [*there, NEW],
        key=key,
        format_func=lambda name: _dataset_words(there[name]) if name in there else NEW,
        placeholder="Choose a dataset",
        on_change=chose,
        persist_state="session",
    )


def _dataset_words(one: Dataset) -> str:
    studies = one.about.get("studies")
    return f"{printable(one.name)} · {len(studies)} nights" if isinstance(studies, dict) else printable(one.name)


def _show_folder(library: Library, draft: Draft) -> None:
    st.text_input(
        "Folder",
        key=draft.beside("folder"),
        on_change=lambda: _take_folder(library, draft),
        placeholder="/data/cohort with signals and cohort.csv",
        help="Scorings, events and follow-up tables (is_event.csv, time_to_event.csv, demographics.csv) are found there too."
        " Who is trained on stands in its splits.json; where there is none, it is made here.",
        persist_state="session",
    )


def _take_folder(library: Library, draft: Draft) -> None:
    """Take the cohort in the folder that is typed; what is wrong with it, or that it is not divided, is kept to be said.

    A folder that cannot be trained on leaves the form without data: those of another would be trained on under its name.
    """
    state = st.session_state
    for name in ("folder refused", "folder undivided"):
        state.pop(draft.beside(name), None)
    draft.change(no_data(draft.kind))
    typed = state.get(draft.beside("folder"), "").strip().strip('"')
    if not typed:
        return
    try:
        folder = require_readable(library.home, Path(typed).expanduser())
        _use(draft, in_folder(folder))
    except UndividedError:
        state[draft.beside("folder undivided")] = str(folder)
    except SleepFMError as error:
        state[draft.beside("folder refused")] = str(error)


def _take_shown(library: Library, draft: Draft) -> None:
    """Take the dataset or folder that stands where data are asked for from now on: what is not shown is not trained on."""
    state = st.session_state
    source = state[draft.beside("source")]
    if source == FOLDER:
        _take_folder(library, draft)
    elif source == DATASET:
        chosen = next((one for one in datasets(library.home) if one.name == state.get(draft.beside("dataset"))), None)
        if chosen is None:
            draft.change(no_data(draft.kind))
        else:
            _use(draft, of_dataset(chosen))


def _use(draft: Draft, paths: DataPaths) -> None:
    """Put a cohort's files into the form; lists that cannot be read are said where they are shown."""
    try:
        splits, _ = read_lists(paths.splits, paths.cohort)
    except SleepFMError:
        splits = Splits((), (), (), ())
    draft.change(settings_of(draft.kind, paths, splits))


# who is in which list


def show_lists(made: list[Dataset], draft: Draft, drawer: FieldDrawer) -> None:
    """Show what each list holds, which are learned from, and how much of them."""
    splits_file = at(draft.content, ("data", "splits"))
    if not splits_file:
        st.caption("Choose what to train on.")
        return
    cohort = at(draft.content, ("data", "cohort"))
    if st.session_state[draft.beside("source")] != FILES:
        for place in (("data", "signals"), ("data", "splits"), ("data", "cohort"), *((name,) for name in DATA_NAMES)):
            if words := drawer.problems.get(place):
                drawer.say(f"{place[-1]} {words}" if words == MISSING else words)
    if any(("data", name) in drawer.problems for name in ("splits", "cohort")):
        return
    try:
        splits, subject_of = read_lists(Path(splits_file), Path(cohort) if cohort else None)
    except SleepFMError as error:
        FieldDrawer.say(str(error))
        return
    known = next((one for one in made if str(one.splits) == splits_file), None)
    rows = balance_rows(known.about["balance"]) if known is not None and "balance" in known.about else None
    st.dataframe(rows or list_rows(splits, subject_of, about_listed(Path(cohort) if cohort else None)), hide_index=True)
    left, middle, right = st.columns(3)
    fields = {one.name: one for one in fields_of(DataSettings)}
    with left:
        drawer.field(fields["lists"], ("data",))
    with middle:
        _show_share(draft, training_people(splits, subject_of, at(draft.content, ("data", "lists")) or []))
    with right:
        drawer.field(fields["trained_on"], ("data",))


def _show_share(draft: Draft, people: int) -> None:
    """Offer to learn from fewer people: 1, 2, 4, … of those in the lists."""
    place = ("data", "fraction")
    now = at(draft.content, place)
    options = [1.0, *(2**power / people for power in range(12) if 2**power < people)]
    options = options if now in options else [*options, now]
    key = draft.key(place)
    if st.session_state.get(key) not in options:
        st.session_state[key] = now

    def words(share: float) -> str:
        return f"all {people} people" if share == 1.0 else f"{max(1, round(share * people))} of {people} people"

    st.selectbox(
        "Learn from",
        options,
        key=key,
        format_func=words,
        on_change=lambda: draft.set(place, st.session_state[key]),
        help="Their nights are learned from; a smaller choice is part of a larger one, and depends on the seed only.",
    )

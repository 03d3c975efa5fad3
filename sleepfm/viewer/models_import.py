"""The dialog that brings a model onto the shelf: by its files, or from a folder that the app may read."""

from __future__ import annotations

import streamlit as st

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.library.job_models import UPLOAD_SUFFIXES, ImportRequest, Upload, submit_import, submit_uploads
from sleepfm.library.library import Library
from sleepfm.models.card import SexCode, Task, parse_sex_code
from sleepfm.models.shelf import Shelf
from sleepfm.text import plain, printable
from sleepfm.viewer.models_words import TASK_WORDS
from sleepfm.viewer.signed_in import acting

_UPLOAD, _PATH = "Upload files", "A path on the app's machine"
_MOST_MB = 500
WATCHED = "models watched"
"""Key of the session under which stands the job that somebody waits for here."""
_AUTO_TASK, _AUTO_ENCODER = "as its configuration says", "the latest imported one that fits"


@st.dialog("Import a model", width="large")
def import_dialog() -> None:
    """Ask for a model and queue its import; what is wrong is said here, and what was typed stays."""
    st.caption(
        "Weights as safetensors or a plain PyTorch state dict with their `config.json`, a folder or zip file exported from a"
        " shelf. Pickles that hold anything but tensors are refused: loading them could run code."
    )
    problem = st.empty()  # above the fields: below a long form nobody would see it
    way = st.segmented_control("Where it lies", (_UPLOAD, _PATH), default=_UPLOAD, required=True, key="import way")
    name = st.text_input("Name on the shelf", placeholder="letters, digits, dot, underscore, hyphen", key="import name")
    chosen, path = [], ""
    if way == _UPLOAD:
        chosen = st.file_uploader(
            "The model's files, or its zip file",
            type=[suffix.removeprefix(".") for suffix in UPLOAD_SUFFIXES],
            accept_multiple_files=True,
            max_upload_size=_MOST_MB,
            key="import files",
        )
    else:
        path = st.text_input("Folder or file", placeholder="/data/models/model_base", key="import path")
    with st.expander("What the files do not say"):
        task, encoder, demographics = _ask_more()
        labels_path, labels = "", None
        if way == _PATH:
            labels_path = st.text_input(
                "Names of a disease head's outputs (CSV)", placeholder="/data/models/label_mapping.csv", key="import labels path"
            )
        else:
            labels = st.file_uploader(
                "Names of a disease head's outputs (CSV: label_idx, phecode, phenotype)", type=["csv"], key="import labels"
            )
    if not st.button("Import", type="primary", key="import go"):
        return
    try:
        age_scale, sex_code = demographics
        request = ImportRequest(
            name=name.strip(),
            task=task,
            encoder=encoder,
            labels=labels_path.strip() or None,
            age_scale=age_scale,
            sex_code=_sex_code(sex_code),
        )
        with Library.open() as library:
            where = path.strip() if way == _PATH else "upload"
            with acting(library, "import model", request.name, {"from": where, "files": [one.name for one in chosen]}) as user:
                if way == _PATH:
                    if not path.strip():
                        raise RequestError("type the path of a model's folder, weights file or zip file")
                    job = submit_import(library, path.strip(), request, submitted_by=user.name)
                else:
                    beside = None if labels is None else Upload(labels.name, labels.size, labels)
                    files = [Upload(one.name, one.size, one) for one in chosen]
                    job = submit_uploads(library, files, request, beside, submitted_by=user.name)
                st.session_state[WATCHED] = job.id
    except SleepFMError as error:
        problem.error(plain(str(error)))
        return
    st.rerun()


def _ask_more() -> tuple[Task | None, str | None, tuple[float | None, str]]:
    """Ask for what decides how weights in the published form are read."""
    with Library.open() as library:
        encoders = [entry.name for entry in Shelf(library.home.models).entries() if entry.card.task is Task.ENCODER]
    left, right = st.columns(2)
    task = left.selectbox(
        "Task", [None, *Task], format_func=lambda one: _AUTO_TASK if one is None else TASK_WORDS[one], key="import task"
    )
    encoder = right.selectbox(
        "Encoder of a head",
        [None, *encoders],
        format_func=lambda one: _AUTO_ENCODER if one is None else printable(one),
        key="import encoder",
    )
    age_scale = left.number_input(
        "Age: years that stand for 1.0 (disease head)",
        min_value=0.1,
        max_value=1000.0,
        value=None,
        placeholder="unknown",
        key="import age",
        help="A disease head is given age / this number. Left empty it is recorded as unknown.",
    )
    sex_code = right.text_input(
        "Sex: its code (disease head)", placeholder="unknown; or female=0,male=1", key="import sex", help="Never guessed."
    )
    return task, encoder, (age_scale, sex_code)


def _sex_code(text: str) -> SexCode | None:
    return parse_sex_code(text) if text.strip() else None

"""The list of studies and the drop zone, as two small components; the rows are made here, drawn in assets/studies."""

from __future__ import annotations

import math
from functools import cache
from typing import Any
from urllib.parse import quote

import streamlit as st

from sleepfm.inference.simulated_models import SIMULATED_WORDS
from sleepfm.library.study import Study, StudyStatus
from sleepfm.text import printable
from sleepfm.viewer.assets import asset_text
from sleepfm.viewer.words import duration_words, time_left_words

ENGINE_NAMES = {"yasa": "YASA", "sleepfm": "SleepFM"}
_REVIEW_WORDS = {"open": "being scored by", "reviewed": "scored by", "signed": "signed by"}
_TONES = {
    StudyStatus.NEW: "",
    StudyStatus.QUEUED: "busy",
    StudyStatus.WORKING: "busy",
    StudyStatus.STAGED: "good",
    StudyStatus.FAILED: "bad",
    StudyStatus.MISSING: "bad",
    StudyStatus.CHANGED: "bad",
}


def study_row(study: Study, trial: str | None = None, *, acting: bool = True) -> dict[str, Any]:
    """Return what the list shows of one study, as words; `trial` and `acting` as for `study_list`."""
    readable = study.status not in (StudyStatus.MISSING, StudyStatus.CHANGED)
    scored = study.status is StudyStatus.STAGED and study.review_state is not None
    return {
        "id": study.id,
        "href": f"review?study={quote(study.id)}",
        "path": printable(str(study.path)),
        "status": printable(f"{_REVIEW_WORDS[study.review_state or '']} {study.scored_by}") if scored else study.status.value,
        "tone": "" if scored and study.review_state == "open" else _TONES[study.status],
        "message": printable(study.message),
        "job": study.job,
        "progress": study.progress,
        "left": "" if study.progress is None else f"{100 * study.progress:.0f} %{time_left_words(study.seconds_left)}",
        "start": "no date" if study.start is None else f"{study.start:%Y-%m-%d %H:%M}",
        "duration": duration_words(study.duration_s),
        "channels": " · ".join(f"{name} {count}" for name, count in sorted(study.modalities.items())) or "none known",
        "problems": f"{len(study.problems)} remark{'s' if len(study.problems) != 1 else ''} on the file"
        if study.problems
        else "",
        "problemList": printable("\n".join(study.problems)).replace("\\n", "\n"),
        "quality": "–" if study.quality is None else f"{math.floor(100 * study.quality)} % good",
        "bad": f"bad: {printable(', '.join(study.bad_channels))}" if study.bad_channels else "",
        "engine": None if study.engine is None else printable(study.scored_by or ENGINE_NAMES.get(study.engine, study.engine)),
        "engineRemark": SIMULATED_WORDS if study.simulated_model else "",
        "ownScoring": "" if study.own_scoring is None else f"with it: {printable(study.own_scoring)}",
        "simulated": study.simulated,
        "acting": acting,
        "canStage": readable,
        "trial": trial if study.simulated and readable else None,
        "trialRemark": f"Stages this simulated night with {trial}, which was {SIMULATED_WORDS}",
        "changed": study.status is StudyStatus.CHANGED,
    }


@cache
def _list_component() -> Any:
    return st.components.v2.component(
        "sleepfm.study_list",
        html='<div data-sleepfm="studies"></div>',
        css=asset_text("studies/studies.css"),
        js=asset_text("studies/list.js"),
    )


@cache
def _upload_component() -> Any:
    return st.components.v2.component(
        "sleepfm.upload",
        html='<div data-sleepfm="upload"></div>',
        css=asset_text("studies/studies.css"),
        js=asset_text("studies/upload.js"),
    )


def study_list(studies: list[Study], *, key: str, trial: str | None, acting: bool) -> dict[str, Any] | None:
    """Draw the list and return what was clicked: {"action": open|stage|try|read again|cancel|remove, "study" or "job": …}.

    `trial` is the model trained on simulated signals that simulated studies may be staged with, if there is one;
    `acting` is false for somebody who only looks.
    """
    rows = [study_row(study, trial, acting=acting) for study in studies]
    clicked = _list_component()(key=key, data={"rows": rows}, on_action_change=lambda: None)
    action: dict[str, Any] | None = clicked.action
    return action


def drop_zone(url: str, *, key: str) -> str | None:
    """Draw the drop zone and return the id of a study that has just arrived."""
    arrived = _upload_component()(key=key, data={"url": url}, on_uploaded_change=lambda: None).uploaded
    return None if arrived is None else str(arrived["study"])

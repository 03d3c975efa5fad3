"""The part of a training form that looks before it starts: what was found, what the run will take, where it runs, and Start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import streamlit as st

from sleepfm.administration.app_settings import read_settings
from sleepfm.errors import SleepFMError
from sleepfm.library.library import Library
from sleepfm.library.preflight import Preflight, preflight_of, submit_preflight
from sleepfm.library.training_runs import submit_finetune, submit_pretrain
from sleepfm.runs.table import Job
from sleepfm.text import plain, size_words
from sleepfm.training.config_files import MISSING
from sleepfm.training.finetune_settings import FinetuneSettings
from sleepfm.training.settings import PretrainSettings
from sleepfm.viewer.form_data_source import DATA_NAMES
from sleepfm.viewer.form_draft import Draft, Place
from sleepfm.viewer.form_fields import FieldDrawer
from sleepfm.viewer.form_presets import free_name
from sleepfm.viewer.form_schema import label_of
from sleepfm.viewer.form_world import taken_names
from sleepfm.viewer.job_progress import show_progress
from sleepfm.viewer.signed_in import acting
from sleepfm.viewer.words import duration_words

RunSettings = PretrainSettings | FinetuneSettings
TrainingKind = Literal["pretrain", "finetune"]
ICONS = {"good": ":green[:material/check_circle:]", "doubtful": ":orange[:material/warning:]", "bad": ":red[:material/error:]"}
LAUNCHERS = {"local": "this machine", "slurm": "the cluster (Slurm)"}
MOST_SAID = 3


def show_start(
    library: Library,
    draft: Draft,
    task: str | None,
    settings: RunSettings | None,
    problems: Mapping[Place, str],
) -> None:
    """Show what keeps a run from starting, let it be looked at, and start it.

    Parameters
    ----------
    task
        Of fine-tuning; None for pretraining.
    settings
        What the form holds, None where something does not fit.
    """
    kind: TrainingKind = "pretrain" if task is None else "finetune"
    launcher, devices = _show_where(library, draft)
    found: Preflight | Job | None = None
    if settings is None:
        _say_what_is_wrong(draft, problems)
    else:
        found = preflight_of(library.jobs, kind, task, settings, devices=devices, launcher=launcher)
    looking = isinstance(found, Job) and found.open
    passed = isinstance(found, Preflight) and found.passed

    look, start = st.columns(2)
    if look.button(
        "Check first" if not isinstance(found, Preflight) else "Check again",
        type="secondary" if passed else "primary",
        disabled=settings is None or looking,
        width="stretch",
        key=draft.beside("check"),
        help="Looks at data, labels, splits, disk and memory, and tries two batches: what would fail in an hour fails now.",
    ):
        assert settings is not None
        _do(draft, lambda: _look(library, kind, task, settings, (launcher, devices)))
    pressed = start.button(
        "Start",
        type="primary",
        disabled=not passed,
        width="stretch",
        icon=":material/play_arrow:",
        key=draft.beside("start"),
        help="Works when exactly these settings passed the check within the last hour.",
    )
    if pressed and passed:  # asked anew in this very run, whatever the browser showed
        assert settings is not None
        job = _do(draft, lambda: _start(library, draft, task, settings, (launcher, devices)))
        if job is not None:
            draft.change({("name",): free_name(settings.name, taken_names(library))})  # of the next run from this form
            st.switch_page("pages/runs.py", query_params={"run": job.id})
    refused = st.session_state.get(draft.beside("refused"))
    if refused:
        FieldDrawer.say(refused)
    with st.container(key=f"{draft.page}-found"):
        if isinstance(found, Preflight):
            show_findings(found)
        elif isinstance(found, Job):
            _show_look(library, found)
        elif settings is not None:
            st.caption("Not checked yet. Every change of the settings asks for a new check.")


def _show_where(library: Library, draft: Draft) -> tuple[str, int]:
    where = ["local", *(["slurm"] if read_settings(library.home).cluster.enabled else [])]
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    launcher = left.selectbox(
        "Runs on", where, key=draft.beside("launcher"), format_func=LAUNCHERS.__getitem__, persist_state="session",
        help="A cluster is offered once it is set up under Settings.",
    )  # fmt: skip
    devices = right.number_input(
        "Devices", 1, 64, 1, key=draft.beside("devices"), persist_state="session",
        help="Processes that train together, one a GPU (or one a share of the CPU).",
    )  # fmt: skip
    return launcher, devices


def _say_what_is_wrong(draft: Draft, problems: Mapping[Place, str]) -> None:
    lines = []
    if problems.get(("data", "splits")) == MISSING:  # nothing was chosen yet: the settings that it fills are no news
        lines.append("Data: choose a dataset, a folder or files to train on")
        problems = {place: words for place, words in problems.items() if place[0] not in ("data", *DATA_NAMES)}
    for place, words in problems.items():
        about = label_of(draft.kind, place) or "The settings"
        lines.append(f"{about} {words}" if words == MISSING else f"{about}: {words}")
    more = f"\n- and {len(lines) - MOST_SAID} more" if len(lines) > MOST_SAID else ""
    said = "\n".join(f"- {plain(line)}" for line in lines[:MOST_SAID])
    st.warning(f"Before this can be checked:\n{said}{more}", icon=":material/edit_note:")


def _do(draft: Draft, action: Any) -> Any:
    """Do what a button says; what refuses is said below it until the next try."""
    state, key = st.session_state, draft.beside("refused")
    state.pop(key, None)
    try:
        done = action()
    except SleepFMError as error:
        state[key] = str(error)
        return None
    return done


def _look(library: Library, kind: TrainingKind, task: str | None, settings: RunSettings, where: tuple[str, int]) -> None:
    launcher, devices = where
    with acting(library, "check before training", settings.name, {"kind": kind, "task": task}) as user:
        submit_preflight(library.home, kind, task, settings, devices=devices, launcher=launcher, submitted_by=user.name)
    st.rerun()


def _start(library: Library, draft: Draft, task: str | None, settings: RunSettings, where: tuple[str, int]) -> Job:
    launcher, devices = where
    about = {"task": task, "launcher": launcher, "devices": devices}
    with acting(library, "start training", settings.name, about) as user:
        told: dict[str, Any] = {
            "launcher": launcher, "devices": devices, "submitted_by": user.name, "parent": draft.parent,
        }  # fmt: skip
        if task is None:
            assert isinstance(settings, PretrainSettings)
            return submit_pretrain(library.home, settings, **told)
        assert isinstance(settings, FinetuneSettings)
        return submit_finetune(library.home, task, settings, **told)


def _show_look(library: Library, job: Job) -> None:
    if job.open:
        show_progress(library.home, job)
    else:
        st.error(plain(f"The check did not end: {job.error or job.state}"))


# what was found


def show_findings(found: Preflight) -> None:
    """Show each check with its words, and what the run will take."""
    numbers = " · ".join(estimates(found))
    if numbers:
        st.markdown(f"**{plain(numbers)}**")
    st.markdown("\n".join(check_lines(found)))


def check_lines(found: Preflight) -> Sequence[str]:
    """Return a line of Markdown a check, the bad ones first."""
    order = {"bad": 0, "doubtful": 1, "good": 2}
    checks = sorted(found.checks, key=lambda one: order[one.state])
    return [f"- {ICONS[one.state]} **{plain(one.name.capitalize())}** {plain(one.words)}" for one in checks]


def estimates(found: Preflight) -> list[str]:
    """Return what a run will take, in words; nothing of what was not found out."""
    words = []
    if found.seconds is not None:
        words.append(f"about {duration_words(found.seconds)}")
    if found.memory_mb is not None:
        words.append(f"{size_words(1e6 * found.memory_mb)} memory")
    if found.device_memory_mb is not None:
        words.append(f"{size_words(1e6 * found.device_memory_mb)} GPU memory")
    if found.disk_mb is not None:
        words.append(f"{size_words(1e6 * found.disk_mb)} disk")
    if found.samples is not None:
        words.append(f"{found.samples:,} samples an epoch")
    return words

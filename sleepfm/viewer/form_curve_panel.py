"""The part of the fine-tuning page that measures and shows the learning curve."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from sleepfm.errors import SleepFMError
from sleepfm.evaluation.learning_curve_settings import NIGHTS
from sleepfm.home import Home
from sleepfm.library.job_curve import submit_curve
from sleepfm.library.library import Library
from sleepfm.library.training_data import datasets
from sleepfm.runs.table import Job, JobTable
from sleepfm.text import plain
from sleepfm.training.finetune_settings import NightData
from sleepfm.training.splits import read_splits
from sleepfm.viewer.chart_export import show_chart
from sleepfm.viewer.form_curve import curve_figure, curve_rows
from sleepfm.viewer.form_draft import Draft
from sleepfm.viewer.form_fields import FieldDrawer
from sleepfm.viewer.job_progress import show_progress
from sleepfm.viewer.signed_in import acting

MOST_SEEDS = 10


def show_curve(library: Library, draft: Draft, data: NightData | None) -> None:
    """Offer the learning curve for the encoder and the data of the form, and show the newest one of both.

    Parameters
    ----------
    data
        What the form holds, None where something does not fit.
    """
    job = None if data is None else newest_curve(library.jobs, str(draft.content["encoder"]), data, _scorings(draft))
    with st.expander(
        "How many labelled nights are enough?", key=draft.beside("box curve"), expanded=job is not None and job.open
    ):
        st.caption(
            "Fine-tuning on 1, 2, 4, 8 … labelled nights, against a logistic probe on the same embeddings and YASA, all on the"
            " same test nights. It takes minutes to hours; the test list is used for this."
        )
        _ask(library, draft, data, busy=job is not None and job.open)
        if job is not None:
            _show(library, job)


def newest_curve(table: JobTable, encoder: str, data: NightData, scorings: Path | None) -> Job | None:
    """Return the newest curve of an encoder on the same nights, lists and labels; None when there is none."""
    asked = {
        "encoder": encoder,
        "data": data.model_dump(mode="json"),
        "scorings": None if scorings is None else str(scorings),
    }
    jobs = table.list(kinds=("curve",), limit=1000)
    return next((job for job in jobs if asked.items() <= job.parameters["config"].items()), None)


def _scorings(draft: Draft) -> Path | None:
    said = draft.content.get("scorings")
    return Path(said) if said else None


def recordings_tested(home: Home, data: NightData) -> list[Path]:
    """Return the recordings of a dataset's test nights, as far as they are still there: YASA reads these."""
    made_of: Mapping[str, Any] = next((one.about.get("studies", {}) for one in datasets(home) if one.splits == data.splits), {})
    tested = read_splits(data.splits, {}).test
    sources = (Path(made_of[study]["source"]) for study in tested if study in made_of)
    return [source for source in sources if source.is_file()]


def _ask(library: Library, draft: Draft, data: NightData | None, *, busy: bool) -> None:
    left, middle, right = st.columns([2.4, 1, 1.2], vertical_alignment="bottom")
    nights = left.multiselect(
        "Labelled nights", [2**power for power in range(11)], default=list(NIGHTS), key=draft.beside("curve nights"),
        help="More than there are in the training lists are left out.", persist_state="session",
    )  # fmt: skip
    seeds = middle.number_input(
        "Repeats", 1, MOST_SEEDS, 3, key=draft.beside("curve seeds"), help="Each draws other nights.", persist_state="session"
    )
    refused = draft.beside("curve refused")
    if right.button(
        "Measure the curve", disabled=data is None or not nights or busy, width="stretch", key=draft.beside("curve start")
    ):
        assert data is not None
        st.session_state.pop(refused, None)
        try:
            with acting(library, "measure learning curve", str(draft.content["encoder"])) as user:
                submit_curve(
                    library.home,
                    "staging",
                    str(draft.content["encoder"]),
                    data,
                    nights=sorted(nights),
                    seeds=range(seeds),
                    scorings=_scorings(draft),
                    recordings=recordings_tested(library.home, data),
                    submitted_by=user.name,
                )
        except SleepFMError as error:
            st.session_state[refused] = str(error)
        st.rerun()
    if refused in st.session_state:
        FieldDrawer.say(st.session_state[refused])
    if data is None:
        st.caption("First choose the encoder and the data above.")


def _show(library: Library, job: Job) -> None:
    if job.open:
        show_progress(library.home, job)
        return
    if job.error or job.result is None:
        st.error(plain(f"{job.title}: {job.error or job.state}"))
        return
    rows = job.result["curve"]
    if any(row["kappa"] is not None for row in rows):
        show_chart(
            curve_figure(rows),
            "learning-curve",
            key="learning curve",
            alt="Kappa against labelled nights, as in the table",
        )
    st.dataframe(curve_rows(rows), hide_index=True)
    when = f", measured {job.finished_at.astimezone():%Y-%m-%d %H:%M}" if job.finished_at is not None else ""
    st.caption(plain(" ".join([f"{job.result['encoder']}{when}.", *job.result["notes"]])))

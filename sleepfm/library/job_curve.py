"""The job that draws a learning curve, and how it is submitted. Submitting loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sleepfm.administration.readable_folders import ReadableFolders, require_data_readable_here
from sleepfm.errors import RequestError
from sleepfm.evaluation.learning_curve_settings import NIGHTS, CurveSettings
from sleepfm.home import Home
from sleepfm.library.training_runs import local_lane
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import Job, JobTable
from sleepfm.training.config_files import explain
from sleepfm.training.finetune_settings import NightData
from sleepfm.training.run_paths import named_paths


def submit_curve(
    home: Home,
    task: str,
    encoder: str,
    data: NightData,
    *,
    nights: Sequence[int] = NIGHTS,
    seeds: Sequence[int] = (0, 1, 2),
    scorings: Path | None = None,
    recordings: Sequence[Path] = (),
    embeddings: Path | None = None,
    submitted_by: str = "",
    start: bool = True,
) -> Job:
    """Queue a learning curve and see that it is worked off.

    Parameters
    ----------
    task
        "staging", the one task whose labels come by the night.
    encoder, data, nights, seeds, scorings, recordings, embeddings
        See `CurveSettings`.

    Raises
    ------
    RequestError
        Another task, numbers that are none, or a path outside the folders that the app may read.
    """
    if task != "staging":
        raise RequestError(f"a learning curve is drawn for staging, not for {task}")
    if not nights or not seeds or min(nights) < 1 or min(seeds) < 0:
        raise RequestError("a learning curve needs numbers of nights from 1 on, and seeds from 0 on")
    settings = CurveSettings(
        encoder=encoder,
        data=data,
        nights=tuple(nights),
        seeds=tuple(seeds),
        scorings=scorings,
        recordings=tuple(recordings),
        embeddings=embeddings,
    )
    folders = ReadableFolders.of(home)
    for path in named_paths(settings):
        folders.require(path)
    table = JobTable(home)
    try:
        job = table.add(
            "curve",
            lane=local_lane(settings.device),  # it trains for hours: staging does not wait behind it
            title=f"Learning curve of {encoder}",
            parameters={"task": task, "config": settings.model_dump(mode="json")},
            submitted_by=submitted_by,
        )
    finally:
        table.close()
    if start:
        ensure_running(home)
    return job


def learning_curve(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Draw the curve in the job's folder; what an interrupted one has measured already is kept.

    Returns
    -------
    dict
        `curve`: rows of `nights` (0 for YASA, which learns from none), `method`, `kappa`, `low`, `high` (None where there is
        none), `n` (epochs), `subjects`, `test_nights`, `seeds` (kappa of each) and `why` (why there is no number); `notes`;
        `encoder`, `simulated`, `train_nights`, `validation_nights`, `test_nights`.
    """
    from sleepfm.evaluation.learning_curve import draw_curve  # noqa: PLC0415 - torch, which submitting must not load

    try:
        settings = CurveSettings.model_validate(parameters["config"])
    except ValidationError as error:
        raise RequestError(f"this version cannot read these settings ({explain(CurveSettings, error)}); ask anew") from None
    require_data_readable_here(home, named_paths(settings))
    folder = home.runs / parameters["job"] / "curve"
    return draw_curve(settings, folder, shelf=Shelf(home.models), runs=home.runs, progress=progress)

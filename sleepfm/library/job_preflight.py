"""The job that looks before a run."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from sleepfm.administration.readable_folders import require_data_readable_here
from sleepfm.home import Home
from sleepfm.library.preflight import read_run_settings
from sleepfm.library.training_runs import names_of_open_runs
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress
from sleepfm.runs.table import JobTable
from sleepfm.training.run_paths import named_paths


def check(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Look at everything that a run needs and try two batches of it.

    Parameters
    ----------
    parameters
        `kind`, `task`, `config`, `devices` and `launcher`, as `sleepfm.library.preflight.submit_preflight` gives them.

    Returns
    -------
    dict
        As of `sleepfm.training.preflight_report.Preflight.as_dict`.
    """
    progress(0.0, "loading what trains")
    from sleepfm.training.preflight import look_before  # noqa: PLC0415 - torch, which submitting must not load

    settings = read_run_settings(parameters["kind"], parameters["task"], parameters["config"])
    require_data_readable_here(home, named_paths(settings))
    with closing(JobTable(home)) as table:
        open_runs = names_of_open_runs(table)
    found = look_before(
        settings,
        shelf=Shelf(home.models),
        folder=home.runs / "a-new-run",  # each run gets a folder of its own, by its id
        devices=parameters["devices"],
        elsewhere=parameters["launcher"] != "local",
        open_runs=open_runs,
        progress=progress,
    )
    return found.as_dict()

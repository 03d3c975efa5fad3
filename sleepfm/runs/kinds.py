"""Which function does a kind of job. Only what stands here can be run from the table."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.progress import Progress

JobFunction = Callable[[Home, dict[str, Any], Progress], dict[str, Any]]
"""Does the work: (home, parameters, progress) → a result that fits in JSON."""

KINDS: dict[str, str] = {
    "backup": "sleepfm.administration.safety_jobs:make_backup",
    "batch": "sleepfm.library.job_batch:run_batch",
    "conversion": "sleepfm.library.job_conversion:convert_cohort",
    "curve": "sleepfm.library.job_curve:learning_curve",
    "dataset": "sleepfm.library.job_dataset:make_dataset",
    "demo": "sleepfm.library.job_import:make_demo",
    "demo-cohort": "sleepfm.library.job_demo_cohort:make",
    "diagnostics": "sleepfm.administration.safety_jobs:make_diagnostics",
    "embedding": "sleepfm.library.job_conversion:embed_cohort",
    "events": "sleepfm.library.job_events:score_events",
    "finetune": "sleepfm.library.job_training:run_finetune",
    "import": "sleepfm.library.job_import:import_folder",
    "index": "sleepfm.library.job_index:index",
    "map": "sleepfm.library.job_map:make_map",
    "preflight": "sleepfm.library.job_preflight:check",
    "prepare": "sleepfm.library.job_prepare:prepare",
    "model-fetch": "sleepfm.library.job_models:fetch_models",
    "model-import": "sleepfm.library.job_models:import_files",
    "pretrain": "sleepfm.library.job_training:run_pretrain",
    "previews": "sleepfm.library.job_previews:make_previews",
    "report": "sleepfm.report.making:make_report",
    "restore": "sleepfm.administration.safety_jobs:restore_backup",
    "retrieval": "sleepfm.library.job_retrieval:measure",
    "risk": "sleepfm.library.job_risk:assess",
    "stage": "sleepfm.library.job_stage:stage",
    "tidy": "sleepfm.administration.safety_jobs:tidy_up",
}


def function_of(kind: str) -> JobFunction:
    """Return the function of a kind, importing its module (torch and YASA are loaded here, never in the app).

    Raises
    ------
    RequestError
        When this version knows no such kind.
    """
    if kind not in KINDS:
        raise RequestError(f"this version knows no job of kind {kind!r}; known: {', '.join(KINDS)}")
    module, name = KINDS[kind].split(":")
    function: JobFunction = getattr(import_module(module), name)
    return function

"""One evaluation from settings to report: `sleepfm evaluate TASK CONFIG`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from sleepfm.errors import RequestError
from sleepfm.evaluation.card_metrics import card_metrics
from sleepfm.evaluation.evaluation import Evaluation
from sleepfm.evaluation.head_runs import evaluate_head
from sleepfm.evaluation.material import ECG_LEADS, Material
from sleepfm.evaluation.probe_run import probes_beside, run_probe
from sleepfm.evaluation.protocols import pretrained
from sleepfm.evaluation.report import JSON_FILE, ReportFiles, write_report
from sleepfm.evaluation.retrieval_run import run_retrieval
from sleepfm.evaluation.run_settings import (
    EVALUATION_OF,
    EvaluateHead,
    EvaluateProbe,
    EvaluateRetrieval,
    EvaluateSettings,
)
from sleepfm.files import atomic_path
from sleepfm.models.card import CARD_FILE, README_FILE, Metric, ModelCard
from sleepfm.models.readme import readme
from sleepfm.models.reference import REFERENCE_FILE
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress, part, silent
from sleepfm.training.night_embeddings import find_encoder
from sleepfm.training.run_folder import RunFolder


def evaluate(
    task: str,
    settings: EvaluateSettings,
    folder: Path,
    *,
    shelf: Shelf,
    runs: Path,
    resume: bool = False,
    reference: bool = False,
    progress: Progress = silent,
) -> tuple[Evaluation, ReportFiles]:
    """Evaluate what is on the shelf and write `evaluation.json` and `evaluation.html`.

    Parameters
    ----------
    task
        `staging`, `breathing`, `disease`, `retrieval` or `probe`.
    settings
        The task's (`EVALUATION_OF`).
    folder
        Of the evaluation. What an unfinished evaluation left there (embeddings, converted recordings) is used.
    shelf
        Where the models are.
    runs
        Where the folders of the runs are that made them: they know who was trained on.
    resume
        Measure again in the folder of a finished evaluation, from the embeddings that are there.
    reference
        Of a disease head, also write `reference.json`: what it says of the held-out people, as the reference of others.

    Raises
    ------
    RequestError
        A path, a model or a setting is wrong, a finished evaluation is there, or nothing is left to test.
    SleepFMError
        Leakage between splits, or a table or a model that cannot be read.
    """
    if not isinstance(settings, EVALUATION_OF[task]):
        raise RequestError(f"evaluate {task} takes {EVALUATION_OF[task].__name__}, not {type(settings).__name__}")
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    finished = (folder / JSON_FILE).is_file()
    if finished and not resume:
        raise RequestError(f"{folder}: an evaluation is there already; measure again with --resume, or choose another --out")
    run = RunFolder(folder, settings, resume=True)
    run.state(state="running", fraction=0.0, message=f"evaluating {task}")
    with threadpool_limits(settings.threads):  # of numpy and scikit-learn
        evaluation = _evaluate(task, _with_ecg(settings), folder, shelf=shelf, runs=runs, progress=progress, reference=reference)
    files = write_report(evaluation, folder)
    run.state(state="finished", fraction=1.0, message=f"evaluated {evaluation.model}")
    return evaluation, files


def _evaluate(
    task: str, settings: EvaluateSettings, folder: Path, *, shelf: Shelf, runs: Path, progress: Progress, reference: bool
) -> Evaluation:
    def material(encoder: ShelfEntry) -> Material:
        return Material(settings, folder, shelf=shelf, runs=runs, encoder=encoder, progress=part(progress, 0.0, 0.2))

    rest = part(progress, 0.2, 1.0)
    if isinstance(settings, EvaluateRetrieval):
        wanted = settings.pretrainings()
        for number, one in enumerate(wanted):
            pretrained(one, runs, shelf, part(progress, 0.5 * number / len(wanted), 0.5 * (number + 1) / len(wanted)))
        rest = part(progress, 0.5 if wanted else 0.2, 1.0)
    if isinstance(settings, EvaluateHead):
        tested_by = material(shelf.encoder_of(shelf.get(settings.model).card))
        return evaluate_head(task, settings, tested_by, rest, reference=folder / REFERENCE_FILE if reference else None)
    if isinstance(settings, EvaluateProbe):
        return run_probe(settings, material(find_encoder(settings.encoder, shelf)), runs, rest)
    if isinstance(settings, EvaluateRetrieval):
        tested = material(find_encoder(settings.encoder, shelf))
        evaluation = run_retrieval(settings, tested, rest)
        return evaluation if not settings.probe_lists else evaluation.with_sections(*probes_beside(settings, tested, runs, rest))
    raise RequestError(f"{type(settings).__name__} names no model")


def _with_ecg(settings: EvaluateSettings) -> EvaluateSettings:
    """Return the settings with the ECG leads among the groups, when they are asked for."""
    if not settings.ecg_configurations:
        return settings
    groups = (*settings.evaluation.groups, ECG_LEADS)
    return settings.model_copy(update={"evaluation": settings.evaluation.model_copy(update={"groups": groups})})


def tested_name(settings: EvaluateSettings) -> str:
    """Return the name of the model that settings ask about, which a protocol may be yet to make."""
    if isinstance(settings, EvaluateHead):
        return Path(settings.model).name
    if isinstance(settings, EvaluateRetrieval):
        return Path(settings.encoder).name
    raise RequestError(f"{type(settings).__name__} names no model")


def tested_model(settings: EvaluateSettings, shelf: Shelf) -> ShelfEntry:
    """Return the shelf's entry of the model that settings ask about."""
    if isinstance(settings, EvaluateHead):
        return shelf.get(settings.model)
    if isinstance(settings, EvaluateRetrieval):
        return find_encoder(settings.encoder, shelf)
    raise RequestError(f"{type(settings).__name__} names no model")


def put_metrics_on_card(entry: ShelfEntry, evaluation: Evaluation) -> ModelCard:
    """Write the evaluation's headline numbers into a model's card and README; those of the same name are replaced.

    Raises
    ------
    SleepFMError
        When the model's folder cannot be written.
    """
    return _describe(entry, tuple(Metric.model_validate(metric) for metric in card_metrics(evaluation)))


def put_reference_beside_card(entry: ShelfEntry, folder: Path) -> None:
    """Copy the reference people that an evaluation wrote into its folder to the model that they are of.

    Raises
    ------
    SleepFMError
        When the model's folder cannot be written.
    """
    with atomic_path(entry.folder / REFERENCE_FILE) as temporary:
        temporary.write_bytes((folder / REFERENCE_FILE).read_bytes())


def put_baseline_on_card(entry: ShelfEntry, evaluation: Evaluation) -> ModelCard:
    """Write what the baseline reached in the same evaluation into the baseline's own card; errors as above."""
    found = {line.name: line.baseline for line in evaluation.headline if line.baseline is not None}
    data = next((str(metric["data"]) for metric in card_metrics(evaluation)), "")
    measured = tuple(
        Metric(name=name, value=e.value, low=e.low, high=e.high, n=e.subjects, data=data)
        for name, e in found.items()
        if e.value is not None
    )
    return _describe(entry, measured)


def _describe(entry: ShelfEntry, measured: tuple[Metric, ...]) -> ModelCard:
    names = {metric.name for metric in measured}
    kept = tuple(metric for metric in entry.card.metrics if metric.name not in names)
    card = entry.card.model_copy(update={"metrics": (*kept, *measured)})
    for name, text in ((CARD_FILE, card.model_dump_json(indent=1) + "\n"), (README_FILE, readme(card))):
        with atomic_path(entry.folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return card


def summary(evaluation: Evaluation, files: ReportFiles) -> dict[str, Any]:
    """Return what `evaluate --json` prints: headline numbers, what they rest on, warnings, the files, and the agreed keys."""
    whole: Mapping[str, Any] = evaluation.as_dict()
    return {
        "task": evaluation.task,
        "model": evaluation.model,
        "simulated": evaluation.simulated,
        "headline": whole["headline"],
        "data": whole["data"],
        "warnings": whole["warnings"],
        "out": str(files.json.parent),
        "json": str(files.json),
        "report": str(files.page),
        **{name: evaluation.extra[name] for name in ("candidates", "pairs") if name in evaluation.extra},
    }


def as_text(evaluation: Evaluation, files: ReportFiles) -> str:
    """Return the headline numbers for a terminal."""
    lines = ["simulated data: the numbers say how the software works, nothing about patients"] if evaluation.simulated else []
    for line in evaluation.headline:
        e = line.estimate
        interval = "" if e.low is None or e.high is None else f" ({e.low:.3f} to {e.high:.3f})"
        value = f"{e.value:.3f}{interval}" if e.value is not None else f"not defined: {e.reason}"
        beside = ""
        if line.baseline is not None and line.baseline.value is not None:
            beside = f"; {line.baseline_name} {line.baseline.value:.3f}"
        elif line.chance is not None:
            beside = f"; chance {line.chance:.3g}"
        lines.append(f"{line.name}: {value}{beside}, {e.subjects} people")
    lines += [f"! {warning}" for warning in evaluation.warnings]
    return "\n".join([*lines, f"report: {files.page}"])

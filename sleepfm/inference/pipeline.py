"""`sleepfm run`: everything there is for one recording, into one folder, with where each number came from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sleepfm
from sleepfm.analysis.sleep_statistics import night_statistics
from sleepfm.errors import Cancelled, MissingChannelsError, RequestError, SleepFMError
from sleepfm.files import atomic_path
from sleepfm.inference.device import Device, Precision
from sleepfm.inference.event_files import describe_events
from sleepfm.inference.event_remarks import event_remarks
from sleepfm.inference.event_scoring import score_events
from sleepfm.inference.memory import peak_memory_mb
from sleepfm.inference.night import Night, open_night
from sleepfm.inference.risk_request import choose_risk_model, require_person
from sleepfm.inference.simulated_models import SIMULATED_WORDS, simulated_warning
from sleepfm.inference.stage_files import describe
from sleepfm.inference.staging import stage
from sleepfm.inference.steps import STEPS
from sleepfm.models.card import SIMULATED, Task
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress, part, silent
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.scorings.events_csv import write_events
from sleepfm.recording.scorings.formats import read_events, read_scoring, write_scoring
from sleepfm.signals.study_ids import study_id

_OUTPUTS: dict[str, tuple[str, ...]] = {
    "convert": ("signals.hdf5",),
    "embed": ("embeddings_5s.hdf5", "embeddings_5min.hdf5"),
    "stage": ("hypnogram.csv",),
    "events": ("events.csv",),
    "statistics": ("statistics.json",),
    "risk": ("risk.csv",),
    "report": ("report.html", "report.pdf"),
}
"""The files of each step."""
NOT_ASKED_FOR = "not asked for"
ReportStep = Callable[[Night, Path, Mapping[str, Any], Progress], dict[str, Any]]
"""Writes report.html and report.pdf: (night, folder of the results, what the steps told of themselves, progress) → details."""


@dataclass(frozen=True)
class _Settings:
    """Where it runs, and whom it is about."""

    device: Device
    precision: Precision
    age: object
    sex: object


class _Run:
    """Collects what the steps did; a step that breaks is named, and the others go on; one that is not wanted is skipped."""

    def __init__(self, wanted: Collection[str]) -> None:
        self.wanted = frozenset(wanted)
        self.steps: dict[str, float] = {}
        self.skipped: dict[str, str] = {name: NOT_ASKED_FOR for name in STEPS if name not in self.wanted}
        self.failed: dict[str, str] = {}
        self.details: dict[str, Any] = {}

    def step(self, name: str, work: Callable[[], dict[str, Any]], *, needs: str = "") -> None:
        if name not in self.wanted:
            self.skipped[name] = NOT_ASKED_FOR
            return
        if needs and needs not in self.steps:
            self.skipped.setdefault(name, f"it rests on the step {needs}, which gave nothing")
            return
        started = time.perf_counter()
        try:
            self.details[name] = work()
        except Cancelled:
            raise
        except MissingChannelsError as error:
            self.skipped[name] = str(error)
        except SleepFMError as error:
            self.failed[name] = str(error)
        else:
            self.steps[name] = round(time.perf_counter() - started, 3)


def run_recording(
    file: Path,
    out_dir: Path,
    *,
    shelf: Shelf,
    age: object = None,
    sex: object = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    steps: Collection[str] = STEPS,
    report: ReportStep | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Run every step that exists over one recording and return what `run --json` prints.

    Files go to `out_dir`/<id>/: signals.hdf5, embeddings_5s.hdf5 and embeddings_5min.hdf5 (with an encoder on the shelf),
    hypnogram.csv, events.csv, statistics.json, risk.csv (with a disease model on the shelf), report.html and report.pdf,
    provenance.json. A step that lacks its channels or model is skipped with the reason, one that breaks is named in `failed`.

    Parameters
    ----------
    age, sex
        Of the person, in years, "female" or "male": a disease model that takes them is skipped without them, for they are never
        guessed.
    steps
        Those of `STEPS` that are wanted; what one of them needs of another is made all the same, and not written.
    report
        What makes the report; skipped without it.

    Raises
    ------
    RequestError
        When there is no such file, or no such step.
    RecordingError
        When it cannot be read as a recording.
    """
    if unknown := sorted(set(steps) - set(STEPS)):
        raise RequestError(f"there is no step {', '.join(unknown)}; choose from {', '.join(STEPS)}")
    with open_night(file) as night:
        sha256 = night.sha256 = fingerprint(file)
        night.id = _free_id(file, out_dir, sha256)
        out = out_dir / night.id
        run = _Run(steps)
        settings = _Settings(device, precision, age, sex)
        head = _risk_model(shelf, night, run, settings) if "risk" in run.wanted else None
        encoder = _encoder(shelf, night)
        signals = out / "signals.hdf5"
        recipe = "published" if encoder is None or encoder.card.signals is None else encoder.card.signals.recipe
        if night.recording is not None:
            run.step("convert", lambda: _convert(night, signals, recipe, part(progress, 0.0, 0.2)))
        else:
            run.skipped["convert"] = "the input is a signals file already"
        if encoder is None:
            run.skipped.setdefault("embed", _no_encoder(shelf))
        else:
            run.step("embed", lambda: _embed(night, encoder, out, settings, part(progress, 0.2, 0.45)))
        run.step("stage", lambda: _stage(night, shelf, out, settings, part(progress, 0.45, 0.55)))
        run.step(
            "events",
            lambda: _events(night, shelf, out, run, settings=settings, progress=part(progress, 0.55, 0.9)),
            needs="stage",
        )
        run.step("statistics", lambda: _statistics(night, out, run), needs="stage")
        if head is not None:
            run.step("risk", lambda: _risk(night, shelf, head, out, settings=settings, progress=part(progress, 0.9, 0.95)))
        _report(night, run, out, report, part(progress, 0.95, 1.0))
        provenance = {
            "id": night.id,
            "file": file.name,
            "sha256": sha256,
            "software": f"sleepfm {sleepfm.__version__}",
            "made_at": datetime.now(UTC).isoformat(),
            "recording": _about(night),
            "steps": run.steps,
            "skipped": run.skipped,
            "failed": run.failed,
            **run.details,
        }
        for step, names in _OUTPUTS.items():
            if step not in run.steps:
                for name in names:
                    (out / name).unlink(missing_ok=True)  # of an earlier run: this provenance would not be true of it
        with atomic_path(out / "provenance.json") as temporary:
            temporary.write_text(json.dumps(provenance, indent=1, ensure_ascii=False), encoding="utf-8")
    return {
        "id": night.id,
        "out": str(out),
        "steps": run.steps,
        "skipped": run.skipped,
        "failed": run.failed,
        "warnings": [warning for step in run.details.values() for warning in step.get("warnings", [])],
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "files": sorted(str(path) for path in out.iterdir() if not path.name.startswith(".")),
    }


def _report(night: Night, run: _Run, out: Path, report: ReportStep | None, progress: Progress) -> None:
    """Have the report made, of what the steps before made."""
    if report is None:
        run.skipped.setdefault("report", NOT_ASKED_FOR)
    elif night.recording is None:
        run.skipped.setdefault("report", "it shows the recording, and the input is a signals file")
    elif "stage" not in run.steps:
        run.skipped.setdefault("report", "it is of the hypnogram, and there is none")
    else:
        run.step("report", lambda: report(night, out, run.details, progress))


def _free_id(file: Path, out_dir: Path, sha256: str) -> str:
    """Return the study's id; a different recording of the same name gets -2, the same one its folder of before."""
    taken: set[str] = set()
    while True:
        identifier = study_id(file, taken)
        made_before = out_dir / identifier / "provenance.json"
        if not made_before.is_file():
            return identifier
        try:
            if json.loads(made_before.read_text("utf-8")).get("sha256") == sha256:
                return identifier
        except (ValueError, AttributeError):
            pass  # not written by us: left alone like another recording's
        taken.add(identifier)


def _encoder(shelf: Shelf, night: Night) -> ShelfEntry | None:
    """Return the encoder whose embeddings are written: a real one, else the default; never a simulated one for real signals."""
    entry = shelf.pick(Task.ENCODER) or shelf.default(Task.ENCODER)
    simulated = night.recording is not None and night.recording.simulated
    return None if entry is not None and entry.card.trained_on == SIMULATED and not simulated else entry


def _no_encoder(shelf: Shelf) -> str:
    """Return why a recording is not embedded."""
    only = shelf.default(Task.ENCODER)
    here = (
        f"no SleepFM encoder on the shelf{shelf.retired_words(Task.ENCODER)}"
        if only is None
        else f"the encoder on the shelf, {only.name}, was {SIMULATED_WORDS}"
    )
    return f"{here}; `sleepfm models fetch official` downloads the published one"


def _about(night: Night) -> dict[str, Any]:
    recording = night.recording
    if recording is None:
        return {"format": "HDF5"}
    return {
        "format": recording.format,
        "start": None if recording.start is None else recording.start.isoformat(),
        "duration_s": recording.duration_s,
        "gaps": [list(gap) for gap in recording.gaps],
        "simulated": recording.simulated,
        "problems": list(recording.problems),
    }


def _convert(night: Night, target: Path, recipe: str, progress: Progress) -> dict[str, Any]:
    made = night.signals_file(recipe, progress)
    with atomic_path(target) as temporary:
        temporary.write_bytes(made.read_bytes())
    record = night.converted
    return {} if record is None else {"recipe": recipe, "channels": record.channels, "left_out": record.left_out}


def _embed(night: Night, encoder: ShelfEntry, out: Path, settings: _Settings, progress: Progress) -> dict[str, Any]:
    embeddings = night.embeddings(encoder, device=settings.device, precision=settings.precision, progress=progress)
    for row, made in zip(("5s", "5min"), night.embedding_files(encoder), strict=True):
        with atomic_path(out / f"embeddings_{row}.hdf5") as temporary:
            temporary.write_bytes(made.read_bytes())
    origin = embeddings.origin
    simulated = encoder.card.trained_on == SIMULATED
    return {
        "model": origin.model,
        "trained_on": encoder.card.trained_on,
        "warnings": [simulated_warning(encoder.name, simulated_recording=origin.simulated)] if simulated else [],
        "weights_sha256": origin.weights_sha256,
        "channels": {modality.value: list(labels) for modality, labels in origin.channels.items()},
        "left_out": [{"modality": o.modality.value, "label": o.label, "reason": o.reason} for o in origin.left_out],
        "device": origin.device,
        "precision": origin.precision,
    }


def _stage(night: Night, shelf: Shelf, out: Path, settings: _Settings, progress: Progress) -> dict[str, Any]:
    found = stage(
        night,
        engine="auto",
        model=None,
        shelf=shelf,
        device=settings.device,
        precision=settings.precision,
        progress=progress,
    )
    write_scoring(found.scoring, out / "hypnogram.csv", to="sleepfm")
    return describe(found)


def _events(night: Night, shelf: Shelf, out: Path, run: _Run, *, settings: _Settings, progress: Progress) -> dict[str, Any]:
    from sleepfm.inference.breathing_engine import choose_breathing, estimate_breathing  # noqa: PLC0415 - torch

    if night.recording is None:
        raise MissingChannelsError("the input is a signals file; events are scored from the recording itself")
    scoring = replace(read_scoring(out / "hypnogram.csv"), scorer=run.details["stage"]["note"].partition(",")[0])
    found = score_events(
        night.recording,
        scoring,
        name=night.name,
        vitals=night.vitals(part(progress, 0.0, 0.05)),
        quality=night.quality(part(progress, 0.05, 0.1)),
        progress=part(progress, 0.1, 0.95),
    )
    write_events(found.events, out / "events.csv")
    described = describe_events(found)
    head = choose_breathing(shelf, None)
    if head is not None:
        second = estimate_breathing(
            night, head, shelf, device=settings.device, precision=settings.precision, progress=part(progress, 0.95, 1.0)
        )
        described["breathing_model"] = second.as_dict()
    return described


def _statistics(night: Night, out: Path, run: _Run) -> dict[str, Any]:
    scoring = read_scoring(out / "hypnogram.csv")
    events = run.details.get("events", {})
    found = night_statistics(
        scoring.stages,
        events=read_events(out / "events.csv") if "events" in run.steps else (),
        looked_for=events.get("looked_for", ()),
        left_out=events.get("left_out", ()),
        vitals=None if night.recording is None else night.vitals(),
        probabilities=scoring.probabilities,
    )
    why_none = run.failed.get("events", run.skipped.get("events", ""))
    of_events = (f"Events are not scored: {why_none}.",) if why_none else event_remarks(events.get("provenance", {}))
    statistics = replace(found, remarks=tuple(dict.fromkeys((*found.remarks, *of_events))))
    with atomic_path(out / "statistics.json") as temporary:
        temporary.write_text(json.dumps(statistics.as_dict(), indent=1, ensure_ascii=False), encoding="utf-8")
    return {"defined": sum(item.value is not None for item in statistics.items), "remarks": list(statistics.remarks)}


def _risk_model(shelf: Shelf, night: Night, run: _Run, settings: _Settings) -> ShelfEntry | None:
    """Return the disease model to use; None where there is none, or age and sex were not told: the step is skipped then."""
    simulated = night.recording is not None and night.recording.simulated
    try:
        entry = choose_risk_model(shelf, None, simulated_recording=simulated)
    except RequestError as error:
        run.skipped["risk"] = str(error)
        return None
    if entry.card.takes_demographics and (settings.age is None or settings.sex is None):
        run.skipped["risk"] = f"{entry.name} takes age and sex, which are never guessed: give --age and --sex"
        return None
    require_person(entry.card, settings.age, settings.sex)  # an impossible age is said before hours of work
    return entry


def _risk(night: Night, shelf: Shelf, head: ShelfEntry, out: Path, *, settings: _Settings, progress: Progress) -> dict[str, Any]:
    from sleepfm.inference.risk_files import assess, describe_risk, write_risk  # noqa: PLC0415 - torch

    found = assess(
        night,
        head,
        shelf,
        age=settings.age,
        sex=settings.sex,
        device=settings.device,
        precision=settings.precision,
        progress=progress,
    )
    write_risk(*found, out / "risk.csv")
    described = describe_risk(*found)
    return {name: value for name, value in described.items() if name != "conditions"} | {
        "conditions": len(described["conditions"])
    }

"""Benchmarks of the review desk, each run by `sleepfm.cli.bench_worker` in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from sleepfm.inference.memory import peak_memory_mb

if TYPE_CHECKING:
    from sleepfm.library.library import Library

Result = dict[str, Any]
SCORER = "benchmark"


def score_key(folder: Path, hours: float, _repeats: int) -> list[Result]:
    """Measure scoring by key, and paging and opening a night with 10,000 events, in a real browser."""
    from sleepfm.viewer.scoring_benchmark import bench_scoring

    scoring = folder / "scoring"
    scoring.mkdir()
    found = bench_scoring(scoring, hours=hours)
    times_without = median(found.turn_with_events_ms) / median(found.turn_ms)
    return [
        _in_browser("score_key", found.key_ms, stored_s=median(found.stored_ms) / 1000, drawn_s=median(found.drawn_ms) / 1000),
        _in_browser("page_turn_10k_events", found.turn_with_events_ms, times_without=times_without),
        _in_browser("open_10k_events", [1000 * seconds for seconds in found.open_with_events_s]),
    ]


def statistics(folder: Path, hours: float, repeats: int) -> list[Result]:
    """Measure the statistics of a night whose proposal has probabilities, with their intervals, and its report, HTML and PDF."""
    from sleepfm.library.library import Library
    from sleepfm.library.night_statistics import study_statistics
    from sleepfm.report.gather import study_report
    from sleepfm.report.making import Wish, write_report

    with Library.open(folder / "review-home") as library:
        study, scoring = _reviewed_night(library, folder, hours)
        computed, reported = [], []
        for number in range(2 * repeats):
            _edit(library, scoring, number)  # what has not changed would only be looked up
            started = time.perf_counter()
            study_statistics(library, study, scoring)
            computed.append(time.perf_counter() - started)
        for number in range(repeats):
            started = time.perf_counter()
            write_report(study_report(library, study, scoring=scoring), folder / f"report-{number}", Wish())
            reported.append(time.perf_counter() - started)
    return [
        {"name": name, "seconds": seconds, "peak_memory_mb": peak_memory_mb(), "extra": {}}
        for name, seconds in (("statistics", computed), ("report", reported))
    ]


def _reviewed_night(library: Library, folder: Path, hours: float) -> tuple[str, int]:
    """Add a simulated night with its true events, and begin a review from a scoring with probabilities that waver."""
    from sleepfm.library.event_sets import store_events
    from sleepfm.library.job_prepare import prepare
    from sleepfm.library.review_begin import begin
    from sleepfm.progress import silent
    from sleepfm.recording.scorings.formats import read_events, read_scoring
    from sleepfm.recording.scorings.scoring import Scoring
    from sleepfm.simulation.study import simulate

    made = simulate(folder / "review-night", 1, hours, 5)["studies"][0]
    study = library.add(made["edf"]).id
    prepare(library.home, {"study": study}, silent)
    stages = read_scoring(Path(made["scoring"])).stages
    shares = np.random.default_rng(5).dirichlet(np.full(5, 0.3), len(stages)) + 2 * np.eye(5)[np.maximum(stages, 0)]
    proposal = Scoring(stages, (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32), "benchmark")
    about = {"label": "Benchmark", "note": "made up", "source_sha256": library.study(study).sha256}
    base = library.store_scoring(study, proposal, engine="yasa", model="", provenance=about)
    store_events(library, study, read_events(Path(made["events"])), engine="benchmark", model="", provenance=about)
    return study, begin(library, study, scorer=SCORER, user=SCORER, base=base)


def _edit(library: Library, scoring: int, number: int) -> None:
    from sleepfm.library.review_edits import Edit, apply_edits
    from sleepfm.library.review_patch import Patch
    from sleepfm.library.reviews import document

    found = int(document(library, scoring).stages[number])
    patch = Patch(stages=((number + 1, found, (found + 1) % 5),))
    apply_edits(library, scoring, [Edit(f"edit-{number}", "score", patch)], user=SCORER)


def events_psgscoring(folder: Path, hours: float, _repeats: int) -> list[Result]:
    """Measure psgscoring on a simulated night, with its process's start."""
    from sleepfm.inference.event_scoring import score_events
    from sleepfm.recording.opening import open_recording
    from sleepfm.recording.scorings.formats import read_scoring
    from sleepfm.simulation.study import simulate

    made = simulate(folder / "events-night", 1, hours, 5)["studies"][0]
    with open_recording(Path(made["edf"])) as recording:
        started = time.perf_counter()
        found = score_events(recording, read_scoring(Path(made["scoring"]), duration_s=recording.duration_s), name=made["id"])
        seconds = time.perf_counter() - started
    extra = {"events": float(len(found.events))}
    return [{"name": "events_psgscoring", "seconds": [seconds], "peak_memory_mb": None, "extra": extra}]


def _in_browser(name: str, ms: Sequence[float], **extra: float) -> Result:
    return {"name": name, "seconds": [one / 1000 for one in ms], "peak_memory_mb": None, "extra": extra}

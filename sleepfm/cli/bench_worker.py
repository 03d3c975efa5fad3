"""One benchmark in its own process: `python -m sleepfm.cli.bench_worker NAME FOLDER HOURS REPEATS`, JSON on stdout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from sleepfm.cli.explore_benchmarks import coalitions, map_1m, retrieval_90k, similar_1m, similar_6m
from sleepfm.cli.review_benchmarks import events_psgscoring, score_key, statistics
from sleepfm.errors import SleepFMError
from sleepfm.inference.memory import peak_memory_mb

Result = dict[str, Any]


def _timed(work: Callable[[int], object], repeats: int) -> list[float]:
    times = []
    for number in range(repeats):
        started = time.perf_counter()
        work(number)
        times.append(time.perf_counter() - started)
    return times


def _one(name: str, seconds: list[float], **extra: float) -> Result:
    return {"name": name, "seconds": seconds, "peak_memory_mb": peak_memory_mb(), "extra": extra}


def _night(folder: Path, hours: float) -> Path:
    path = folder / "bench_night.edf"
    if not path.is_file():
        # in another process: its memory is not the benchmark's
        code = "import sys; from pathlib import Path; from sleepfm.simulation.benchmark import make_benchmark_night as m;"
        code += "m(Path(sys.argv[1]), hours=float(sys.argv[2]))"
        subprocess.run([sys.executable, "-c", code, str(path), str(hours)], check=True)
    return path


def matmul(_folder: Path, _hours: float, repeats: int) -> list[Result]:
    """Measure the machine itself."""
    import torch

    a = torch.rand(2048, 2048)
    times = _timed(lambda _: a @ a, repeats + 3)[3:]
    return [_one("matmul", times, gflop_per_s=2 * 2048**3 / min(times) / 1e9)]


def convert(folder: Path, hours: float, repeats: int) -> list[Result]:
    """Measure `sleepfm convert`; the seconds are its own, as `--json` prints them."""
    from sleepfm.signals.convert import convert as convert_one

    path = _night(folder, hours)
    return [_one("convert", [convert_one(path, folder / "signals").seconds for _ in range(repeats)])]


def embed(folder: Path, hours: float, repeats: int) -> list[Result]:
    """Measure embedding beside a plain forward pass."""
    from sleepfm.inference.embedding import embed as embed_one
    from sleepfm.inference.embedding_benchmark import benchmark_embedding, published_size_model
    from sleepfm.signals.convert import convert as convert_one

    signals = Path(convert_one(_night(folder, hours), folder / "signals").out)
    embed_one(signals, published_size_model(), folder / "embeddings", device="cpu")
    memory = peak_memory_mb()  # before the plain pass adds its own
    found = benchmark_embedding(signals, repeats=repeats)
    embedded = _one("embed", list(found.embed_s), times_faster=found.ratio, cosine=found.cosine)
    return [{**embedded, "peak_memory_mb": memory}, _one("plain_forward", list(found.plain_s))]


def train(folder: Path, _hours: float, repeats: int) -> list[Result]:
    """Measure pretraining beside the published loop; a second of theirs is one step, their loaders run alone as well."""
    from sleepfm.training.throughput_benchmark import Loop, benchmark_throughput, write_recordings

    found = benchmark_throughput(write_recordings(folder / "train"), repeats=repeats)

    def one(name: str, loop: Loop, **extra: float) -> Result:
        shown = {"samples_per_s": found.samples_per_s(loop.step_s), "waiting": loop.waiting, **extra}
        return {**_one(name, loop.step_s, **shown), "peak_memory_mb": None}  # the process is both loops'

    plain, ours = found.plain, found.ours
    return [
        one(
            "train",
            ours,
            times_faster=found.times_faster(ours.step_s, plain.step_s),
            model_times_faster=found.times_faster(ours.model_s, plain.model_s),
            loader_times_faster=found.times_faster(ours.batch_s, plain.batch_s),
            loader_samples_per_s=found.samples_per_s(ours.batch_s),
        ),
        one("train_bf16", found.ours_bf16, times_faster=found.times_faster(found.ours_bf16.step_s, plain.step_s)),
        one("train_plain", plain, loader_samples_per_s=found.samples_per_s(plain.batch_s)),
    ]


def stage_yasa(folder: Path, hours: float, repeats: int) -> list[Result]:
    """Measure YASA's staging of a simulated night."""
    from sleepfm.inference.night import open_night
    from sleepfm.inference.staging import stage
    from sleepfm.models.shelf import Shelf
    from sleepfm.simulation.study import simulate as simulate_studies

    made = simulate_studies(folder / "yasa", 1, hours, 1)["studies"][0]

    def work(_: int) -> None:
        with open_night(Path(made["edf"])) as night:
            stage(night, engine="yasa", model=None, shelf=Shelf(folder / "no-models"))

    return [_one("stage_yasa", _timed(work, repeats))]


def simulate(folder: Path, hours: float, repeats: int) -> list[Result]:
    """Measure the simulation of one night."""
    from sleepfm.simulation.study import simulate as simulate_studies

    return [_one("simulate", _timed(lambda number: simulate_studies(folder / "simulated", 1, hours, number), repeats))]


def list_10000(folder: Path, _hours: float, repeats: int) -> list[Result]:
    """Measure opening a library of 10,000 studies and reading the first page of its list."""
    from sleepfm.library.library import Library
    from sleepfm.runs.database import connect

    home = folder / "large-home"
    Library.open(home).close()
    connection = connect(home / "library.sqlite")
    now = datetime.now(UTC).isoformat()
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT OR IGNORE INTO studies (id, path, format, duration_s, channels, modalities, problems, simulated, montage, size,"
        " mtime_ns, added_at) VALUES (?, ?, 'EDF', 28800, 16, '{}', '[]', 0, '', 1, 1, ?)",
        [(f"night_{number:05d}", f"/nowhere/night_{number:05d}.edf", now) for number in range(10_000)],
    )
    connection.execute("COMMIT")
    connection.close()

    def work(_: int) -> None:
        with Library.open(home) as library:
            library.count()
            library.studies(limit=25)

    return [_one("list_10000", _timed(work, repeats))]


def open_study(folder: Path, hours: float, _repeats: int) -> list[Result]:
    """Measure the review page of a running app in a real browser."""
    from sleepfm.viewer.paging_benchmark import bench_paging

    paging = folder / "paging"
    paging.mkdir()
    found = bench_paging(paging, hours=hours)
    skipped = sum(1 for a, b in zip(found.held_epochs, found.held_epochs[1:], strict=False) if b != a + 1)
    opened = _one("open_study", list(found.open_s))
    turned = _one("page_turn", [ms / 1000 for ms in found.turn_ms], held_per_s=found.held_per_s, held_skipped=skipped)
    return [{**opened, "peak_memory_mb": None}, {**turned, "peak_memory_mb": None}]


def runs_2000(folder: Path, _hours: float, repeats: int) -> list[Result]:
    """Measure the page of runs of a running app in a real browser."""
    from sleepfm.viewer.runs_benchmark import bench_runs

    found = bench_runs(folder, repeats=2 * repeats)
    opened = _one("runs_2000", list(found.open_s))
    updated = _one("curves_100k", [ms / 1000 for ms in found.update_ms], open_s=median(found.curves_s))
    return [{**opened, "peak_memory_mb": None}, {**updated, "peak_memory_mb": None}]


def page_turn_training(folder: Path, hours: float, _repeats: int) -> list[Result]:
    """Measure paging while a run trains."""
    from sleepfm.viewer.runs_benchmark import bench_paging_while_training

    paging = folder / "paging-training"
    paging.mkdir()
    found = bench_paging_while_training(paging, hours=hours)
    turned = _one(
        "page_turn_training", [ms / 1000 for ms in found.turn_ms], held_per_s=found.held_per_s, open_s=median(found.open_s)
    )
    return [{**turned, "peak_memory_mb": None}]


WORKERS: dict[str, Callable[[Path, float, int], list[Result]]] = {
    work.__name__: work
    for work in (
        *(matmul, convert, embed, train, stage_yasa, simulate, list_10000, open_study),
        *(similar_1m, similar_6m, retrieval_90k, coalitions, map_1m, runs_2000, page_turn_training),
        *(score_key, statistics, events_psgscoring),
    )
}


def main(name: str, folder: str, hours: str, repeats: str) -> int:
    """Run one benchmark and print its results as one line of JSON."""
    # what libraries print must not get between us and the reader of our line
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        results = WORKERS[name](Path(folder), float(hours), int(repeats))
    except SleepFMError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps(results), file=answer, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

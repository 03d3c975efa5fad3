"""`sleepfm bench`: the project's own benchmarks, each in a process of its own so that its memory is its own."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import psutil

import sleepfm
from sleepfm.cli.console import Console
from sleepfm.cli.options import command, positive_float, positive_int
from sleepfm.errors import RequestError

BENCHMARKS: dict[str, str] = {
    "matmul": "the machine's yardstick: a 2048-square float32 matrix product",
    "convert": "EDF to HDF5, published recipe: 16 channels at 256/64/4 Hz",
    "embed": "the published-size encoder, fp32, file to files",
    "plain_forward": "the same by a plain forward pass, batch 16 (`embed` and this run in turn in one process)",
    "train": "pretraining, fp32: a step of 8 windows with the published-size encoder, reading included",
    "train_bf16": "the same in bf16",
    "train_plain": "the same by the published loop, re-created (these three take turns in one process)",
    "stage_yasa": "YASA on a simulated night",
    "simulate": "one simulated night, written as EDF+",
    "list_10000": "one page of a library of 10,000 studies",
    "open_study": "review page: address asked for to first drawn epoch, in headless Chromium",
    "page_turn": "review page: key press to pixels, 20 channels × 30 s at 256 Hz",
    "similar_1m": "the nearest of 1,000,000 windows, with numpy's product beside it",
    "similar_6m": "the nearest of 6,200,000 windows (65,000 nights), 1.6 GB on disk while it runs",
    "retrieval_90k": "evaluation of retrieval among 90,000 windows, one pair both ways, with the bare product beside it",
    "coalitions": "all 16 coalitions of a night's modalities under a published-size disease head, from the embeddings",
    "coalitions_bf16": "the same with coalitions that lack a modality in bfloat16",
    "map_1m": "cohort page with 1,000,000 windows: address asked for to first picture, in headless Chromium; moves beside it",
    "runs_2000": "page of runs with 2,000 runs: address asked for to its list, in headless Chromium",
    "curves_100k": "a run of 100,000 steps on it: from asking for what is new to the pictures",
    "page_turn_training": "`page_turn` while a run of the same home folder pretrains the published-size encoder",
    "score_key": "a stage's key to its stored edit and the next epoch's pixels, in headless Chromium",
    "page_turn_10k_events": "`page_turn` on a night with 10,000 events, and how many times the same night's without them",
    "open_10k_events": "`open_study` on that night",
    "statistics": "the statistics of a reviewed night with their intervals",
    "report": "its report as HTML and PDF",
    "events_psgscoring": "psgscoring on a simulated night, in its own process",
}
"""What is measured, by name; what `_RUNS_WITH` names comes out of one run with another."""
_RUNS_WITH = {
    "plain_forward": "embed",
    "train_bf16": "train",
    "train_plain": "train",
    "page_turn": "open_study",
    "coalitions_bf16": "coalitions",
    "curves_100k": "runs_2000",
    "page_turn_10k_events": "score_key",
    "open_10k_events": "score_key",
    "report": "statistics",
}


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    bench = command(
        commands, "bench", _bench, does="measure speed and memory on this machine", example="sleepfm bench --only convert,embed"
    )
    bench.add_argument("--only", metavar="NAMES", help=f"of {', '.join(BENCHMARKS)} (default: all)")
    bench.add_argument("--hours", type=positive_float, default=8.0, help="length of the night (default: 8)")
    bench.add_argument("--repeats", type=positive_int, default=5, help="how often each is run (default: 5)")


def _bench(options: argparse.Namespace, console: Console) -> int:
    names = list(BENCHMARKS) if options.only is None else [name.strip() for name in options.only.split(",")]
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        raise RequestError(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    wanted = list(dict.fromkeys(_RUNS_WITH.get(name, name) for name in names))
    results: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="sleepfm-bench-") as folder:
        for number, name in enumerate(wanted):
            console.progress(number / len(wanted), name)
            words = [sys.executable, "-m", "sleepfm.cli.bench_worker", name, folder, str(options.hours), str(options.repeats)]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            answer = done.stdout.strip().splitlines()[-1:]
            if done.returncode == 0 and answer:
                results += [_summary(one) for one in json.loads(answer[0])]
            else:
                failed[name] = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
    for name, reason in failed.items():
        console.say(f"{name}: {reason}")
    machine = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "sleepfm": sleepfm.__version__,
        "load_average": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
    }
    console.result({"machine": machine, "results": results, "failed": failed}, _table(machine, results))
    return 1 if failed else 0


def _summary(one: dict[str, Any]) -> dict[str, Any]:
    times = sorted(one["seconds"])
    return {
        "name": one["name"],
        "median_s": median(times),
        "p95_s": times[min(len(times) - 1, round(0.95 * (len(times) - 1)))],
        "best_s": times[0],
        "runs": len(times),
        "peak_memory_mb": one["peak_memory_mb"],
        **one.get("extra", {}),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _table(machine: dict[str, Any], results: list[dict[str, Any]]) -> str:
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, load {machine['load_average']}",
        f"{'':14}{'median':>10}{'p95':>10}{'best':>10}{'memory':>10}",
    ]
    for one in results:
        memory = "" if one["peak_memory_mb"] is None else f"{one['peak_memory_mb']:.0f} MB"
        times = "".join(f"{_time(one[key]):>10}" for key in ("median_s", "p95_s", "best_s"))
        shown = ("median_s", "p95_s", "best_s", "peak_memory_mb", "name", "runs")
        extra = "  ".join(f"{key} {value:.4g}" for key, value in one.items() if key not in shown)
        lines.append(f"{one['name']:14}{times}{memory:>10}  {extra}")
    return "\n".join(lines)


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"

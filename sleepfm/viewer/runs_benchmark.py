"""How quick the app stays around training: the page of runs with a long history, a long curve, and paging while a run trains.

Needs Playwright and a Chromium, which only the test requirements bring; both are looked for when a measurement starts.
"""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home, open_home
from sleepfm.library.training_runs import submit_pretrain
from sleepfm.runs.dispatcher import wait_for
from sleepfm.runs.processes import identity
from sleepfm.runs.run_files import run_folder
from sleepfm.runs.table import JobState, JobTable, Lane
from sleepfm.training.settings import PretrainSettings
from sleepfm.training.splits import Splits, write_splits
from sleepfm.viewer.paging_benchmark import BROWSER_FLAGS, PagingTimes, bench_paging, find_chromium, running_app

if TYPE_CHECKING:
    from playwright.sync_api import Page

LIST = '[data-sleepfm="runs"]'
CURVES = '[data-sleepfm="curves"]'
TIMEOUT_MS = 60_000
NIGHTS = 4


@dataclass(frozen=True)
class RunsTimes:
    """What was measured.

    Attributes
    ----------
    open_s
        From asking for the page's address to its list, one a visit.
    curves_s
        From asking for a run's address to its first picture.
    update_ms
        From asking for what is new in a run to its pictures, one a line that was added.
    """

    open_s: tuple[float, ...]
    curves_s: tuple[float, ...]
    update_ms: tuple[float, ...]


def bench_runs(folder: Path, *, runs: int = 2000, steps: int = 100_000, repeats: int = 10) -> RunsTimes:
    """Make a home folder with a long history and one long run, start the app on it, and measure its page of runs.

    Raises
    ------
    RequestError
        When Playwright is not installed.
    SleepFMError
        When the app does not come up.
    """
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a test requirement, see the module's docstring
    except ModuleNotFoundError:
        raise RequestError(
            "the page of runs is measured with Playwright; install requirements-test.txt and a Chromium, then try again"
        ) from None
    home = open_home(folder / "home")
    long = _write_history(home, runs=runs, steps=steps)
    with running_app(home.root) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(BROWSER_FLAGS))
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        # the first visit loads Streamlit itself into an empty cache
        open_s = [_open(page, f"{url}/runs", f"{LIST} tbody tr") for _ in range(4)][1:]
        curves_s = [_open(page, f"{url}/runs?run={long}", f'{CURVES}[data-step="{steps}"]') for _ in range(3)]
        update_ms = []
        for number in range(repeats):
            with (run_folder(home, long) / "metrics.jsonl").open("a", encoding="utf-8") as file:
                file.write(_line(steps + number + 1))
            page.wait_for_selector(f'{CURVES}[data-step="{steps + number + 1}"]', timeout=TIMEOUT_MS)
            update_ms.append(float(page.locator(CURVES).get_attribute("data-updated") or "nan"))
        browser.close()
    return RunsTimes(tuple(open_s), tuple(curves_s), tuple(update_ms))


def _open(page: Page, address: str, selector: str) -> float:
    started = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(selector, timeout=TIMEOUT_MS)
    return time.perf_counter() - started


def _write_history(home: Home, *, runs: int, steps: int) -> str:
    """Write ended runs into the table, and one that goes on (this process stands for its worker); return its id."""
    table = JobTable(home)
    for number in range(runs - 1):
        job = table.add("pretrain", lane=Lane.TRAIN_CPU, title=f"Pretrain encoder-{number}", subject=f"encoder-{number}")
        table.claim(Lane.TRAIN_CPU, only=job.id)
        table.end(job.id, (JobState.FINISHED, JobState.STOPPED, JobState.FAILED)[number % 3], error="as the benchmark wants")
    settings = _settings(home.root, "long-run")
    parameters = {"config": settings.model_dump(mode="json")}
    job = table.add("pretrain", lane=Lane.TRAIN_CPU, title="Pretrain long-run", subject="long-run", parameters=parameters)
    table.claim(Lane.TRAIN_CPU, only=job.id)
    table.set_process(job.id, os.getpid(), identity(os.getpid()))
    metrics = run_folder(home, job.id) / "metrics.jsonl"
    metrics.parent.mkdir(parents=True, exist_ok=True)
    metrics.write_text("".join(_line(step) for step in range(1, steps + 1)), encoding="utf-8")
    table.close()
    return job.id


def _line(step: int) -> str:
    values = {
        "train/loss": 3 * math.exp(-step / 2e4) + 0.1 * math.sin(step),
        "train/learning_rate": 1e-3,
        "train/log_temperature": step / 1e5,
        "train/samples_per_second": 100 + math.cos(step),
    }
    return json.dumps({"step": step, "time": 1.7e9 + step} | values) + "\n"


def bench_paging_while_training(folder: Path, *, hours: float = 8.0) -> PagingTimes:
    """Measure the review page while the published-size encoder is pretrained by a run of the same home folder.

    Raises
    ------
    SleepFMError
        When the run does not begin to train, or ended before the measurement did.
    """
    from sleepfm.training.throughput_benchmark import write_recordings  # noqa: PLC0415 - loads torch

    home = open_home(folder / "home")
    names = sorted(file.stem for file in write_recordings(folder, recordings=NIGHTS).glob("*.hdf5"))
    write_splits(Splits(tuple(names[1:]), (), (names[0],), ()), folder / "splits.json")
    job = submit_pretrain(home, _settings(folder, "beside"))
    table = JobTable(home)
    deadline = time.monotonic() + 120
    while not (run_folder(home, job.id) / "metrics.jsonl").is_file():
        if not table.get(job.id).open or time.monotonic() > deadline:
            raise SleepFMError(f"the run beside did not begin: {table.get(job.id).error}")
        time.sleep(0.5)
    try:
        times = bench_paging(folder, hours=hours)
        if not table.get(job.id).open:
            raise SleepFMError(f"the run beside ended before the measurement: {table.get(job.id).error}")
    finally:
        table.request_kill(job.id)
        wait_for(table, job.id, timeout_s=30)
        table.close()
    return times


def _settings(folder: Path, name: str) -> PretrainSettings:
    content = {
        "name": name,
        "data": {"signals": [folder], "splits": folder / "splits.json"},
        "encoder": {"parameters": {"embed_dim": 128, "num_heads": 8, "num_layers": 6, "pooling_head": 8, "patch_size": 640}},
        "training": {"epochs": 1000, "batch_size": 8, "validate_every": 1000},
    }
    return PretrainSettings.model_validate(content)

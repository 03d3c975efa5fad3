"""The curves' route: what travels is what the run wrote, thinned without losing extremes, and only when something is new."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from starlette.applications import Starlette
from viewer.made_up_runs import START, add_run, bring, metric_lines, write_folder
from viewer.running_server import Server, serving

from sleepfm.home import Home, open_home
from sleepfm.runs.table import JobState, JobTable
from sleepfm.viewer.runs_compare import MOST_COMPARED
from sleepfm.viewer.runs_routes import CURVES_PATH, run_routes
from sleepfm.viewer.runs_store import KEPT


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


@pytest.fixture
def server(home: Home) -> Iterator[Server]:
    with serving(Starlette(routes=run_routes(home))) as running:
        yield running


def address(*runs: str, points: int = 100, every: bool = False, have: str = "") -> str:
    asked = [*(("run", run) for run in runs), ("points", str(points)), ("all", str(int(every))), ("have", have)]
    return f"{CURVES_PATH}?{urlencode(asked)}"


def unpacked(body: bytes) -> tuple[dict[str, Any], dict[tuple[int, str, str], np.ndarray]]:
    """Return the header, and for each run, panel and part its (steps, seconds, values)."""
    length, empty = struct.unpack_from("<II", body)
    assert (length % 8, empty) == (0, 0)
    header, at, curves = json.loads(body[8 : 8 + length]), 8 + length, {}
    for curve in header["curves"]:
        n = curve["n"]
        curves[curve["run"], curve["panel"], curve["part"]] = np.frombuffer(body, "<f8", 3 * n, at).reshape(3, n)
        at += 24 * n
    assert at == len(body)
    return header, curves


def test_what_the_run_wrote_travels_exactly(home: Home, server: Server) -> None:
    table = JobTable(home)
    job = add_run(table, "x", JobState.RUNNING)
    folder = write_folder(home, job, steps=50)
    header, curves = unpacked(server.get(address(job.id)).body)
    written = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    for part, prefix in (("training", "train"), ("validation", "validation")):
        lines = [line for line in written if f"{prefix}/loss" in line]
        wanted = [[line["step"], line["time"] - (START + 2), line[f"{prefix}/loss"]] for line in lines]
        np.testing.assert_allclose(curves[0, "loss", part].T, wanted, rtol=1e-12, atol=1e-6)
    assert header["open"] is True
    assert [panel["key"] for panel in header["panels"]][:3] == ["loss", "top1", "learning_rate"]
    assert all(panel["unit"] for panel in header["panels"])


def test_a_long_run_is_thinned_and_keeps_its_extremes(home: Home, server: Server) -> None:
    table = JobTable(home)
    job = add_run(table, "long", JobState.FINISHED)
    file = write_folder(home, job, steps=3000) / "metrics.jsonl"
    spike = {"step": 1234, "time": START, "train/loss": 99.0}
    file.write_text(file.read_text("utf-8") + json.dumps(spike) + "\n", encoding="utf-8")
    _, curves = unpacked(server.get(address(job.id, points=100)).body)
    step, _, value = curves[0, "loss", "training"]
    assert len(step) <= 2 * 100 + 2
    assert value.max() == 99.0
    assert step[value.argmax()] == 1234
    assert (step[0], step[-1]) == (1, 3000)
    assert np.all(np.diff(step) >= 0)


def test_an_answer_comes_only_when_something_is_new(home: Home, server: Server) -> None:
    table = JobTable(home)
    job = add_run(table, "live", JobState.RUNNING)
    file = write_folder(home, job, steps=10) / "metrics.jsonl"
    version = unpacked(server.get(address(job.id)).body)[0]["version"]
    assert server.get(address(job.id, have=version)).status == 204
    assert server.get(address(job.id, have=version, every=True)).status == 200
    with file.open("a", encoding="utf-8") as out:
        out.write(metric_lines(5, first=11))
    header, curves = unpacked(server.get(address(job.id, have=version)).body)
    assert curves[0, "loss", "training"][0, -1] == 15
    table.end(job.id, JobState.STOPPED)
    ended = server.get(address(job.id, have=header["version"]))
    assert unpacked(ended.body)[0]["open"] is False


def test_a_run_that_was_forgotten_meanwhile_is_still_told_apart(home: Home, server: Server) -> None:
    table = JobTable(home)
    job = add_run(table, "first", JobState.STOPPED)
    file = write_folder(home, job, steps=10) / "metrics.jsonl"
    version = unpacked(server.get(address(job.id)).body)[0]["version"]
    for number in range(KEPT):
        other = add_run(table, f"other-{number}", JobState.STOPPED)
        assert server.get(address(other.id)).status == 200
    with file.open("a", encoding="utf-8") as out:
        out.write(metric_lines(5, first=11))
    assert server.get(address(job.id, have=version)).status == 200


def test_several_runs_count_time_from_their_own_first_step(home: Home, server: Server) -> None:
    table = JobTable(home)
    jobs = [add_run(table, "a", JobState.FINISHED), add_run(table, "b", JobState.FINISHED)]
    for number, job in enumerate(jobs):
        write_folder(home, job, steps=30, start=START + 9000 * number)
    header, curves = unpacked(server.get(address(*[job.id for job in jobs])).body)
    assert [run["name"] for run in header["runs"]] == ["Pretrain a", "Pretrain b"]
    np.testing.assert_allclose(curves[0, "loss", "training"][1], curves[1, "loss", "training"][1], atol=1e-3)
    assert curves[1, "loss", "training"][1, 0] == 0


def test_a_file_put_together_by_hand_is_a_remark(home: Home, server: Server) -> None:
    table = JobTable(home)
    job = add_run(table, "edited", JobState.CRASHED)
    file = write_folder(home, job, steps=5) / "metrics.jsonl"
    lines = file.read_text("utf-8")
    back = '{"step": 2, "time": 1, "train/loss": 7.5}\n{"step": 1, "time": 2, "x\\u202e": 1}\n'
    file.write_text(lines + "no json\n[]\n" + back, encoding="utf-8")
    header, curves = unpacked(server.get(address(job.id, every=True)).body)
    assert "2 lines" in " ".join(header["runs"][0]["remarks"])
    assert np.all(np.diff(curves[0, "loss", "training"][0]) >= 0)
    assert all(panel["title"].isprintable() for panel in header["panels"])


def test_a_run_without_a_folder_has_no_curves_and_no_error(home: Home, server: Server) -> None:
    job = add_run(JobTable(home), "waits", JobState.QUEUED)
    header, curves = unpacked(server.get(address(job.id)).body)
    assert (header["panels"], curves, header["open"]) == ([], {}, True)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (address(), "names no run"),
        (address("../../etc"), "names no run"),
        (address("20261120-000000-ffffff"), "no run"),
        (address(*[f"20261120-000000-{n:06x}" for n in range(MOST_COMPARED + 1)]), "at most 8"),
        (address("20261120-000000-ffffff", points=10**7), "points must be"),
    ],
)
def test_nothing_but_runs_is_answered(server: Server, asked: str, words: str) -> None:
    answer = server.get(asked)
    assert answer.status == 400
    assert words in answer.json()["error"]


def test_a_resumed_run_begins_a_new_version(home: Home, server: Server) -> None:
    table = JobTable(home)
    job = add_run(table, "again", JobState.STOPPED)
    write_folder(home, job, steps=10)
    version = unpacked(server.get(address(job.id)).body)[0]["version"]
    resumed = bring(table, table.resume(job.id), JobState.RUNNING)
    assert unpacked(server.get(address(resumed.id, have=version)).body)[0]["open"] is True

"""Cohorts in parts: every part knows its files, joined they are the whole, and what is done already is not done again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepfm.errors import RequestError
from sleepfm.home import Home, open_home
from sleepfm.library.job_conversion import convert_cohort, embed_cohort, plan_of, submit_conversion, submit_embedding
from sleepfm.models.shelf import Shelf
from sleepfm.progress import silent
from sleepfm.runs.table import Job, JobTable, Lane
from tests.inference.small_models import small_encoder
from tests.make_edf import write_edf


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


def work(home: Home, job: Job, **part: int) -> dict[str, Any]:
    function = convert_cohort if job.kind == "conversion" else embed_cohort
    return function(home, job.parameters | {"job": job.id} | part, silent)


@given(n=st.integers(1, 60), parts=st.integers(1, 70))
def test_parts_joined_are_the_whole_in_its_order(n: int, parts: int) -> None:
    files = [[f"/nights/{number}.edf", str(number)] for number in range(n)]
    whole = plan_of({"files": files})
    assert [one for part in range(parts) for one in plan_of({"files": files, "part": part, "parts": parts})] == whole
    if parts <= n:
        assert all(plan_of({"files": files, "part": part, "parts": parts}) for part in range(parts))


def test_a_conversion_is_resumed_and_never_writes_over_what_came_from_elsewhere(home: Home, tmp_path: Path) -> None:
    nights, out = tmp_path / "in", tmp_path / "out"
    for seed, name in enumerate(("a/night", "b/night", "c")):
        write_edf(nights / f"{name}.edf", seconds=30, labels=("C4-M1",), seed=seed)
    (nights / "bad.edf").write_bytes(b"no recording")
    job = submit_conversion(home, [nights], out, start=False)
    assert (job.lane, job.launcher) == (Lane.HEAVY, "local")
    made = work(home, job)
    assert [(record["id"], record["reused"]) for record in made["records"]] == [
        ("night", False),
        ("night-2", False),
        ("c", False),
    ]
    assert [Path(one["file"]).name for one in made["failed"]] == ["bad.edf"]
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    write_edf(nights / "bad.edf", seconds=30, labels=("C4-M1",))  # mended
    (nights / "b" / "night.edf").unlink()
    write_edf(nights / "a" / "night.edf", seconds=30, labels=("C4-M1",), seed=9)  # another night of the same name
    made = work(home, job)
    assert [(record["id"], record["reused"]) for record in made["records"]] == [("bad", False), ("c", True)]
    assert [Path(one["file"]).relative_to(nights).as_posix() for one in made["failed"]] == ["a/night.edf", "b/night.edf"]
    assert "made from another recording" in made["failed"][0]["error"]
    assert "no such file" in made["failed"][1]["error"]
    assert {name: (out / name).read_bytes() for name in before} == before
    assert made["records"][1]["channels"] == [{"name": "C4-M1", "label": "C4-M1", "modality": "BAS", "flat": False}]


def test_another_recipe_is_not_what_was_asked_for(home: Home, tmp_path: Path) -> None:
    night = write_edf(tmp_path / "night.edf", seconds=30, labels=("C4-M1",))
    for recipe, reused in (("published", False), ("hq", False)):
        job = submit_conversion(home, [night], tmp_path / "out", recipe=recipe, start=False)
        (record,) = work(home, job)["records"]
        assert (record["recipe"], record["reused"]) == (recipe, reused)


def test_embedding_goes_on_after_a_bad_file_and_where_it_was_stopped(home: Home, tmp_path: Path) -> None:
    encoder = small_encoder()
    about = {name: getattr(encoder.card, name) for name in ("task", "architecture", "parameters", "signals", "trained_on")}
    Shelf(home.models).add("small", encoder.network.state_dict(), about)
    nights, out = tmp_path / "in", tmp_path / "out"
    write_edf(nights / "a.edf", seconds=60)
    write_edf(nights / "b.edf", seconds=60, seed=1)
    (nights / "bad.hdf5").write_bytes(b"no signals")
    job = submit_embedding(home, [nights], out, model="small", start=False)
    first = work(home, job, part=0, parts=3)
    assert ([record["id"] for record in first["records"]], first["failed"]) == (["a"], [])
    made = work(home, job)
    assert [(record["id"], record["reused"]) for record in made["records"]] == [("a", True), ("b", False)]
    assert [Path(one["file"]).name for one in made["failed"]] == ["bad.hdf5"]
    assert {name: made["records"][0][name] for name in ("modalities", "tokens", "windows")} == {
        name: first["records"][0][name] for name in ("modalities", "tokens", "windows")
    }
    write_edf(nights / "a.edf", seconds=60, seed=2)
    assert [record["reused"] for record in work(home, job)["records"]] == [False, True]


def test_what_cannot_work_is_refused_before_anything_is_queued(home: Home, tmp_path: Path) -> None:
    night = write_edf(tmp_path / "night.edf", seconds=30, labels=("C4-M1",))
    for bad in ({"launcher": "moon"}, {"recipe": "best"}, {"layout": "round"}):
        with pytest.raises(RequestError):
            submit_conversion(home, [night], tmp_path / "out", start=False, **bad)
    with pytest.raises(RequestError, match="no such file"):
        submit_conversion(home, [tmp_path / "nobody.edf"], tmp_path / "out", start=False)
    with pytest.raises(RequestError):
        submit_embedding(home, [night], tmp_path / "out", model="nobody", start=False)
    assert JobTable(home).count() == 0


def test_a_cluster_gets_as_many_parts_as_its_settings_say_but_none_empty(home: Home, tmp_path: Path) -> None:
    for number in range(3):
        write_edf(tmp_path / "in" / f"{number}.edf", seconds=10, labels=("C4-M1",))
    job = submit_conversion(home, [tmp_path / "in"], tmp_path / "out", launcher="slurm", start=False)
    assert (job.lane, job.parameters["parts"]) == (Lane.CLUSTER, 3)
    home.settings_file.write_text('{"cluster": {"array_jobs": 2}}')
    job = submit_conversion(home, [tmp_path / "in"], tmp_path / "other", launcher="slurm", start=False)
    assert job.parameters["parts"] == 2


RAISING = """
import signal, sys
from pathlib import Path
from sleepfm.errors import Cancelled
from sleepfm.signals.convert import convert_planned

def cancel(*_):
    raise Cancelled("asked to")

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, cancel)
    plan = [(path, path.stem) for path in sorted(Path(sys.argv[1]).iterdir())]
    try:
        convert_planned(plan, Path(sys.argv[2]), progress=lambda fraction, _: print(fraction, flush=True))
    except Cancelled:
        print("cancelled")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_a_signal_whose_handler_raises_ends_a_large_conversion(tmp_path: Path) -> None:
    original = write_edf(tmp_path / "in" / "0.edf", seconds=10, labels=("ECG",))
    for number in range(1, 2_000):
        os.link(original, original.with_name(f"{number}.edf"))
    script = tmp_path / "convert.py"
    script.write_text(RAISING)
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "in"), str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    while float(process.stdout.readline()) == 0:
        pass
    process.terminate()
    try:
        assert process.communicate(timeout=60)[0].split()[-1] == "cancelled"
    finally:
        process.kill()
    assert not list((tmp_path / "out").glob(".*"))

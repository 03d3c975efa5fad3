"""Batches: folders, bad files, a worker that dies, cancelling; each in real worker processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sleepfm.errors import Cancelled, RequestError
from sleepfm.signals.convert import convert_many, find_recordings
from sleepfm.signals.store import open_signals
from tests.signals.edf_files import write_edf


def a_night(path: Path, seed: int = 0, seconds: int = 20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    x = np.random.default_rng(seed).standard_normal(seconds * 100) * 50
    return write_edf(path, [("EEG C3-M2", 100.0, x), ("ECG", 100.0, x[::-1].copy())])


def test_a_batch_goes_on_after_a_bad_file_and_lists_it(tmp_path: Path) -> None:
    nights = tmp_path / "nights"
    a_night(nights / "a" / "one.EDF", 1)
    a_night(nights / "b" / "one.edf", 2)
    a_night(nights / "b" / "deep" / "two.edf", 3)
    (nights / "b" / "broken.edf").write_text("this is no EDF")
    (nights / "b" / "notes.txt").write_text("not looked at")
    fractions: list[float] = []
    result = convert_many(
        [nights, nights / "b" / "deep" / "two.edf"],
        tmp_path / "out",
        jobs=2,
        progress=lambda fraction, _: fractions.append(fraction),
    )
    json.dumps(result, allow_nan=False)
    assert [Path(record["file"]).relative_to(nights).as_posix() for record in result["records"]] == [
        "a/one.EDF", "b/deep/two.edf", "b/one.edf",
    ]  # fmt: skip
    assert [record["id"] for record in result["records"]] == ["one", "two", "one-2"]
    (failed,) = result["failed"]
    assert failed["file"] == str(nights / "b" / "broken.edf")
    assert failed["error"].startswith(failed["file"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one-2.hdf5", "one.hdf5", "two.hdf5"]
    for record in result["records"]:
        with open_signals(Path(record["out"])) as file:
            assert len(file.channels) == 2
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)


def test_wrong_requests_are_refused_before_any_work(tmp_path: Path) -> None:
    night = a_night(tmp_path / "night.edf")
    with pytest.raises(RequestError, match="choose another --out"):
        convert_many([night], night / "out")
    with pytest.raises(RequestError, match="hq, published"):
        convert_many([night], tmp_path / "out", recipe="best")
    (tmp_path / "empty").mkdir()
    for bad, says in ((tmp_path / "nobody.edf", "no such file"), (tmp_path / "empty", "holds no file that ends in")):
        with pytest.raises(RequestError, match=says):
            convert_many([night, bad], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_named_twice_is_converted_once(tmp_path: Path) -> None:
    night = a_night(tmp_path / "night.edf")
    assert find_recordings([night, tmp_path, night]) == [night]


def test_cancelling_stops_the_workers_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    for number in range(20):  # more than can be under way or handed out when it is noticed
        a_night(tmp_path / "in" / f"{number}.edf", number, seconds=600)

    def cancel(fraction: float, _: str) -> None:
        if fraction > 0.2:
            raise Cancelled("the user changed their mind")

    with pytest.raises(Cancelled):
        convert_many([tmp_path / "in"], tmp_path / "out", jobs=2, progress=cancel)
    left = list((tmp_path / "out").iterdir())
    assert len(left) < 20
    for path in left:  # what was finished is whole
        with open_signals(path) as file:
            assert file.n_samples == 600 * 128


def test_a_worker_that_dies_costs_only_its_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker killed by the system (as by a mapped file that shrinks) is reported; the other files are converted."""
    for name in ("a", "killer", "z"):
        a_night(tmp_path / "in" / f"{name}.edf")
    site = tmp_path / "site"
    site.mkdir()
    (site / "killing_reader.py").write_text(
        "import os, signal\n"
        "from sleepfm.recording.edf import EdfRecording\n"
        "read = EdfRecording.digital\n"
        "def digital(self, index, segment):\n"
        "    if self.path.stem == 'killer':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return read(self, index, segment)\n"
        "EdfRecording.digital = digital\n"
    )
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import killing_reader\n"  # the workers import this main module again, and so the killing reader
        "from pathlib import Path\n"
        "from sleepfm.signals.convert import convert_many\n"
        "import json\n"
        "if __name__ == '__main__':\n"
        "    print(json.dumps(convert_many([Path(sys.argv[2])], Path(sys.argv[3]), jobs=2)))\n"
    )
    (site / "main.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, str(site / "main.py"), str(site), str(tmp_path / "in"), str(tmp_path / "out")]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    result = json.loads(run.stdout)
    assert [record["id"] for record in result["records"]] == ["a", "z"]
    (failed,) = result["failed"]
    assert failed["file"].endswith("killer.edf")
    assert "the worker process died" in failed["error"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_workers_leave_when_their_parent_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    for number in range(40):
        a_night(tmp_path / "in" / f"{number}.edf", number)
    (tmp_path / "main.py").write_text(
        "import sys\nfrom pathlib import Path\nfrom sleepfm.signals.convert import convert_many\n"
        "if __name__ == '__main__':\n    convert_many([Path(sys.argv[1])], Path(sys.argv[2]))\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]))
    out = tmp_path / "out"
    parent = subprocess.Popen([sys.executable, str(tmp_path / "main.py"), str(tmp_path / "in"), str(out)])
    try:
        deadline = time.monotonic() + 60
        while not list(out.glob("*.hdf5")):
            assert time.monotonic() < deadline
            assert parent.poll() is None
            time.sleep(0.02)
        workers = psutil.Process(parent.pid).children(recursive=True)
        parent.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs(workers, timeout=30)
        assert not alive
    finally:
        parent.kill()
        parent.wait()
    assert all(path.suffix == ".hdf5" for path in out.iterdir())

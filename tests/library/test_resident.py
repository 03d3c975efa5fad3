"""The helper process: it answers, passes errors on, comes back when it died, and never outlives the app."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.library import resident
from sleepfm.library.resident import in_resident, warm
from sleepfm.runs.processes import identity

HOME = Home(Path("somewhere"))


def pid_of(_home: Home) -> int:
    return os.getpid()


def joined(home: Home, *words: str) -> str:
    return f"{home.root}: {' '.join(words)}"


def refuse(_home: Home) -> None:
    raise RequestError("no such study")


def too_slow_itself(_home: Home) -> None:
    raise TimeoutError("the function's own")


def die(_home: Home) -> None:
    os._exit(3)


def sleep(_home: Home, seconds: float) -> None:
    time.sleep(seconds)


def has_loaded(_home: Home, module: str) -> bool:
    return module in sys.modules


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while identity(pid) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture(scope="module", autouse=True)
def _ended_afterwards() -> Iterator[None]:
    yield
    resident.end_resident()


def test_one_process_that_stays_answers() -> None:
    first = in_resident(HOME, pid_of)
    assert first != os.getpid()
    assert in_resident(HOME, pid_of) == first
    assert in_resident(HOME, joined, "a", "b") == "somewhere: a b"


def test_it_can_load_torch_before_anybody_asks() -> None:
    resident.end_resident()
    warm(HOME)
    deadline = time.monotonic() + 60
    while not in_resident(HOME, has_loaded, "torch"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_errors_come_back_as_themselves_and_do_not_end_it() -> None:
    before = in_resident(HOME, pid_of)
    with pytest.raises(RequestError, match="no such study"):
        in_resident(HOME, refuse)
    with pytest.raises(TimeoutError, match="the function's own"):
        in_resident(HOME, too_slow_itself)
    assert in_resident(HOME, pid_of) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_it_is_started_anew_when_it_was_killed() -> None:
    before = in_resident(HOME, pid_of)
    os.kill(before, signal.SIGKILL)
    assert in_resident(HOME, pid_of) != before


def test_a_question_it_dies_of_is_an_error_and_the_next_is_answered() -> None:
    with pytest.raises(SleepFMError, match="died twice"):
        in_resident(HOME, die)
    assert in_resident(HOME, joined, "again") == "somewhere: again"


def test_a_question_that_takes_too_long_is_given_up_with_its_process() -> None:
    before = in_resident(HOME, pid_of)
    with pytest.raises(SleepFMError, match=r"no answer within 0\.2 s"):
        in_resident(HOME, sleep, 600.0, timeout_s=0.2)
    assert gone(before)
    assert in_resident(HOME, pid_of) != before


def test_a_question_that_waits_too_long_for_another_leaves_that_one_alone() -> None:
    before = in_resident(HOME, pid_of)
    with ThreadPoolExecutor(1) as pool:
        long_one = pool.submit(in_resident, HOME, sleep, 2.0)
        while not resident._turn.locked():
            time.sleep(0.01)
        with pytest.raises(SleepFMError, match="other questions took more than"):
            in_resident(HOME, pid_of, timeout_s=0.1)
        assert long_one.result() is None
    assert in_resident(HOME, pid_of) == before


APP = """
import time
from tests.library.test_resident import HOME, in_resident, pid_of
if __name__ == "__main__":
    print(in_resident(HOME, pid_of), flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_it_ends_when_the_app_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(APP)
    root = Path(__file__).parents[2]
    app = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )
    try:
        assert app.stdout is not None
        helper = int(app.stdout.readline())
        assert psutil.pid_exists(helper)
    finally:
        app.kill()
        app.communicate()
    assert gone(helper)


def test_the_script_that_asks_is_not_run_again_by_the_process_that_answers(tmp_path: Path) -> None:
    # the app asks from a page's script, which stands in for the main module while it runs
    script = tmp_path / "page.py"
    script.write_text(
        "from pathlib import Path\n"
        "from sleepfm.home import Home\n"
        "from sleepfm.library.resident import in_resident\n"
        "print('the script runs')\n"
        "print(in_resident(Home(Path('3')), isinstance, Home))\n"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, cwd=root, env=environment)
    assert ran.stdout.splitlines() == ["the script runs", "True"]

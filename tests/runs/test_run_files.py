"""What lies in a run's folder is read whatever state it is in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepfm.errors import RequestError
from sleepfm.home import Home, open_home
from sleepfm.runs.run_files import RunState, log_tail, run_folder, run_state


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = open_home(tmp_path)
    (home.runs / "r1").mkdir()
    return home


@pytest.mark.parametrize("identifier", ["..", "../x", "a/b", "", ".hidden", "a\x00b", "a" * 101, "a\\b"])
def test_an_id_that_leads_elsewhere_is_refused(home: Home, identifier: str) -> None:
    with pytest.raises(RequestError, match="no run's id"):
        run_folder(home, identifier)


def test_the_last_lines_of_a_log(home: Home) -> None:
    assert log_tail(home, "r1", 5) == ""
    file = home.runs / "r1" / "log.txt"
    file.write_bytes(b"".join(b"line %d\n" % number for number in range(5000)) + b"half")
    assert log_tail(home, "r1", 3).splitlines() == ["line 4998", "line 4999", "half"]
    assert log_tail(home, "r1", 0) == ""
    file.write_bytes(b"10 %\r20 %\r\n\x1b[31mred\xff\n")
    assert log_tail(home, "r1", 5).splitlines() == ["20 %", "\\x1b[31mred\ufffd"]
    file.write_bytes(b"x" * 50_000 + b"\nlast\n")
    assert log_tail(home, "r1", 1) == "last"


@given(
    text=st.text(alphabet="ab\n\r\t", max_size=300) | st.lists(st.text(alphabet="xyz", max_size=900), max_size=40).map("\n".join),
    lines=st.integers(1, 20),
)
def test_a_tail_is_the_end_of_the_whole(tmp_path_factory: pytest.TempPathFactory, text: str, lines: int) -> None:
    home = open_home(tmp_path_factory.mktemp("home"))
    (home.runs / "r").mkdir()
    (home.runs / "r" / "log.txt").write_bytes(text.encode())
    said = log_tail(home, "r", lines)
    assert said.count("\n") < lines
    assert (log_tail(home, "r", 10_000) == said) or log_tail(home, "r", 10_000).endswith(said)


def test_what_a_run_says_about_itself(home: Home) -> None:
    assert run_state(home, "r1") is None
    file = home.runs / "r1" / "state.json"
    file.write_text(
        json.dumps({"state": "running", "fraction": 0.25, "message": "step 5", "seconds_left": 9, "step": 5, "time": 1})
    )
    assert run_state(home, "r1") == RunState(fraction=0.25, message="step 5", seconds_left=9, step=5, time=1, state="running")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00", '{"a": ' * 3000, "NaN"])
def test_a_state_that_no_run_writes_is_a_remark(home: Home, text: str) -> None:
    (home.runs / "r1" / "state.json").write_text(text)
    state = run_state(home, "r1")
    assert state is not None
    assert "state.json" in state.remark
    assert state.fraction is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
)


@given(st.dictionaries(st.sampled_from(["fraction", "message", "seconds_left", "step", "time", "x"]), JSON))
def test_whatever_a_hand_puts_there_the_fields_are_what_they_say(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, object]
) -> None:
    home = open_home(tmp_path_factory.mktemp("home"))
    (home.runs / "r").mkdir()
    (home.runs / "r" / "state.json").write_text(json.dumps(content))
    state = run_state(home, "r")
    assert state is not None
    assert state.fraction is None or 0 <= state.fraction <= 1
    assert state.seconds_left is None or state.seconds_left >= 0
    assert state.step is None or isinstance(state.step, int)
    assert state.message is None or state.message.isprintable()

"""Settings survive, and a file that was edited by hand is one clear line, never a guess."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm.administration.app_settings import AppSettings, Retention, change_settings, read_settings, write_settings
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home, open_home
from sleepfm.runs.launchers.cluster_settings import ClusterSettings, cluster_settings


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


def test_settings_come_back_as_they_were_stored(home: Home, tmp_path: Path) -> None:
    assert read_settings(home) == AppSettings()
    stored = AppSettings(
        device="cpu",
        precision="bf16",
        folders=(tmp_path / "psg",),
        retention=Retention(logs_days=7),
        session_hours=1.5,
        cluster=ClusterSettings(enabled=True, partition="gpu", sbatch=("constraint=a100",)),
    )
    write_settings(home, stored)
    assert read_settings(home) == stored
    assert cluster_settings(home) == stored.cluster
    assert [path.name for path in home.root.glob("*settings*")] == ["settings.json"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", r"line 1: not JSON"),
        ('{"device": "cpu",\n"precision" "fp32"}', r"line 2: not JSON"),
        ("[]", "holds no settings"),
        ('{"device": "gpu"}', r"device: .*'auto', 'cpu' or 'cuda'"),
        ('{"devise": "cpu"}', "devise.*did you mean device"),
        ('{"folders": ["data"]}', r"data is not a full path"),
        ('{"folders": "/data"}', "folders"),
        ('{"retention": {"logs_days": 0}}', r"retention.logs_days: .*greater than or equal to 1"),
        ('{"format": 2, "moon": true}', "written by a newer SleepFM Workbench; update the software"),
        ('{"format": "one"}', "format"),
        ("[" * 100_000, "not settings"),
    ],
)
def test_a_file_edited_by_hand_is_one_clear_line(home: Home, content: str, said: str) -> None:
    home.settings_file.write_text(content)
    with pytest.raises(SleepFMError, match=said) as refused:
        read_settings(home)
    assert str(refused.value).startswith(str(home.settings_file))
    assert "\n" not in str(refused.value)
    with pytest.raises(SleepFMError, match=said):
        change_settings(home, device="cpu")
    assert home.settings_file.read_text() == content  # what somebody wrote is not thrown away


def test_bytes_that_are_no_text_and_a_huge_file_are_one_clear_line(home: Home) -> None:
    home.settings_file.write_bytes(b"\xff\xfe{}")
    with pytest.raises(SleepFMError, match="UTF-8"):
        read_settings(home)
    home.settings_file.write_text(" " * 1_000_001)
    with pytest.raises(SleepFMError, match="larger than settings can be"):
        read_settings(home)
    home.settings_file.unlink()
    home.settings_file.mkdir()
    with pytest.raises(SleepFMError, match="cannot be read"):
        read_settings(home)


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*AppSettings.model_fields, "x"]) | st.text(), inner),
        max_leaves=8,
    )
)
def test_whatever_json_the_file_holds_it_is_settings_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: object
) -> None:
    home = open_home(tmp_path_factory.getbasetemp() / "any")
    home.settings_file.write_text(json.dumps(content))
    said = ""
    try:
        assert isinstance(read_settings(home), AppSettings)
    except SleepFMError as refused:
        said = str(refused)
    assert "\n" not in said


@pytest.mark.parametrize("text", ["[" * 10_000, '{"session_hours": ' + "9" * 5000 + "}"])
def test_nesting_and_digits_without_end_are_one_line(home: Home, text: str) -> None:
    home.settings_file.write_text(text)
    with pytest.raises(SleepFMError, match="not settings"):
        read_settings(home)


def test_a_value_that_does_not_fit_is_refused_and_nothing_is_stored(home: Home) -> None:
    for wrong in ({"device": "tpu"}, {"folders": ["relative"]}, {"session_hours": 0}, {"retention": {"logs_days": 10**9}}):
        with pytest.raises(RequestError, match=next(iter(wrong))):
            change_settings(home, **wrong)
    assert not home.settings_file.exists()


def test_what_two_admins_change_at_once_is_both_kept(home: Home) -> None:
    rounds = 20

    def change(name: str, values: list[object]) -> None:
        for value in values:
            change_settings(home, **{name: value})

    first = threading.Thread(target=change, args=("session_hours", [float(n + 1) for n in range(rounds)]))
    second = threading.Thread(target=change, args=("retention", [{"logs_days": n + 1} for n in range(rounds)]))
    first.start(), second.start()
    first.join(), second.join()
    assert read_settings(home).session_hours == rounds
    assert read_settings(home).retention.logs_days == rounds

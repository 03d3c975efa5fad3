"""The command line as its users know it: what is printed where, and the exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import pytest

from sleepfm.cli.main import main
from sleepfm.inference import pipeline
from sleepfm.inference.event_scoring import EventScoring
from tests.make_edf import write_edf

ROOT = Path(__file__).parents[2]
COMMANDS = (
    ["inspect"], ["simulate"], ["convert"], ["embed"], ["stage"], ["events"], ["run"], ["agree"], ["index"], ["similar"],
    ["bench"], ["app"],
    ["models", "list"], ["models", "import"], ["models", "fetch"], ["models", "export"],
    ["runs", "list"], ["runs", "show"], ["runs", "stop"], ["runs", "logs"],
)  # fmt: skip


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Run a command; return its exit code, stdout and stderr."""
    try:
        code = main([str(word) for word in words])
    except SystemExit as left:
        code = int(left.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def run_json(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    """Run a command with --json standing last; it must print one object and nothing else."""
    code, out, err = run(capsys, *words, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def is_one_clear_line(text: str) -> bool:
    return len(text.strip().splitlines()) == 1 and "Traceback" not in text


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_one_example_and_json(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    code, out, _ = run(capsys, *words, "--help")
    assert code == 0
    assert f"example: sleepfm {' '.join(words)}" in out
    assert "--json" in out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["inspect"],
        ["inspect", "/nowhere/x.edf"],
        ["inspect", "."],
        ["stage", "/nowhere/x.edf", "--out", "x.csv"],
        ["stage", "x.edf", "--engine", "magic", "--out", "x.csv"],
        ["run", "/nowhere/x.edf", "--out", "o"],
        ["agree", "/nowhere/a.csv", "/nowhere/b.csv"],
        ["convert", "/nowhere", "--out", "o"],
        ["convert", "x.edf", "--out", "o", "--jobs", "0"],
        ["simulate", "o", "--hours", "-1"],
        ["simulate", "o", "--seed", "-1"],
        ["models", "export", "nobody"],
        ["models", "import", "/nowhere", "--name", "x"],
        ["runs", "show", "nobody"],
        ["bench", "--only", "nothing"],
        ["app", "--port", "99999"],
    ],
    ids=" ".join,
)
def test_a_wrong_request_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))
    code, out, err = run(capsys, *words)
    assert code == 2
    assert out == ""
    assert "Traceback" not in err


@pytest.mark.parametrize("command", [["inspect"], ["run", "--out", "o"], ["stage", "--out", "o.csv"], ["convert", "--out", "o"]])
@pytest.mark.parametrize("content", [b"", b"plain text, no recording " * 200], ids=["empty", "text"])
def test_a_file_that_is_no_recording_is_exit_code_1_and_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))
    (tmp_path / "bad.edf").write_bytes(content)
    code, _, err = run(capsys, command[0], "bad.edf", *command[1:])
    assert code == 1
    assert is_one_clear_line(err)
    assert "bad.edf" in err
    assert not list(tmp_path.glob("o*/*.hdf5"))
    assert not (tmp_path / "o.csv").exists()


def test_inspect_prints_the_channels_of_a_real_device(capsys: pytest.CaptureFixture[str], shared: Path) -> None:
    found = run_json(capsys, "inspect", shared / "data/psg/nox_a1_2min_90ch.edf")
    assert len(found["channels"]) == 89
    assert {"file", "format", "duration_s", "start", "channels", "gaps", "problems"} <= set(found)
    assert {"index", "label", "rate_hz", "unit", "kind", "modality", "reason", "problems"} <= set(found["channels"][0])
    labels = {channel["label"]: channel for channel in found["channels"]}
    assert labels["C3 Impédance"]["modality"] is None
    assert labels["C4-M1"]["modality"] == "BAS"
    assert len({channel["rate_hz"] for channel in found["channels"]}) == 8


def test_inspect_for_people_names_every_channel_and_escapes_hostile_labels(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = write_edf(tmp_path / "n.edf", labels=("C4-M1", "ECG"))
    content = path.read_bytes().replace(b"ECG             ", b"\x1b[31mEVIL        ", 1)
    path.write_bytes(content)
    code, out, _ = run(capsys, "inspect", path)
    assert code == 0
    assert "C4-M1" in out
    assert "\x1b" not in out


def test_convert_goes_on_after_a_bad_file_and_exits_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write_edf(tmp_path / "in" / "good.edf")
    (tmp_path / "in" / "bad.edf").write_bytes(b"0" * 300)
    code, out, err = run(capsys, "convert", tmp_path / "in", "--out", tmp_path / "out", "--json")
    found = json.loads(out)
    assert code == 1
    assert [record["id"] for record in found["records"]] == ["good"]
    assert [Path(one["file"]).name for one in found["failed"]] == ["bad.edf"]
    assert "bad.edf" in err
    with h5py.File(tmp_path / "out" / "good.hdf5") as file:
        assert set(file["good"]) == {"BAS", "EKG", "EMG", "RESP"}


def test_simulate_stage_agree_from_end_to_end(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = run_json(capsys, "simulate", tmp_path / "sim", "--studies", 1, "--hours", 1, "--seed", 4)["studies"][0]
    staged = run_json(capsys, "stage", made["edf"], "--engine", "yasa", "--out", tmp_path / "h.csv")
    assert staged["epochs"] == 120
    assert sum(staged["counts"].values()) == 120
    assert (staged["engine"], staged["out"]) == ("yasa", str(tmp_path / "h.csv"))
    agreed = run_json(capsys, "agree", tmp_path / "h.csv", made["scoring"])
    assert {"epochs", "kappa", "accuracy", "macro_f1", "f1", "confusion"} <= set(agreed)
    assert agreed["kappa"] > 0.5
    code, out, _ = run(capsys, "agree", tmp_path / "h.csv", made["scoring"])
    assert code == 0
    assert "kappa" in out


def test_run_writes_what_exists_and_says_what_it_skipped(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = ["--home", tmp_path / "home"]
    about = {"label": "psgscoring", "skipped": {"Hypopneas": "no airflow"}, "warnings": ["One leg only."]}
    about |= {"looked_for": ["Arousal"], "left_out": [], "note": "made up"}
    scored = EventScoring((), {}, {}, "psgscoring", "standard", about)
    monkeypatch.setattr(pipeline, "score_events", lambda *_, **__: scored)  # minutes otherwise
    steps = ["--steps", "convert,embed,stage,events,statistics"]
    found = run_json(capsys, "run", shared / "data/psg/ucddb018_eeg.edf", "--out", tmp_path / "o", *steps, *home)
    folder = tmp_path / "o" / "ucddb018_eeg"
    assert found["id"] == "ucddb018_eeg"
    files = ["events.csv", "hypnogram.csv", "provenance.json", "signals.hdf5", "statistics.json"]
    assert sorted(Path(file).name for file in found["files"]) == files
    assert set(found["steps"]) == {"convert", "stage", "events", "statistics"}
    assert "encoder" in found["skipped"]["embed"]
    assert found["skipped"]["report"] == "not asked for"
    remarks = json.loads((folder / "statistics.json").read_text("utf-8"))["remarks"]
    assert remarks[-2:] == ["Hypopneas: not scored by psgscoring (no airflow).", "One leg only."]
    provenance = json.loads((folder / "provenance.json").read_text("utf-8"))
    assert provenance["skipped"] == found["skipped"]
    assert provenance["stage"]["engine"] == "yasa"
    assert len(provenance["sha256"]) == 64
    agreed = run_json(capsys, "agree", folder / "hypnogram.csv", shared / "data/psg/ucddb018_expert.csv")
    assert agreed["kappa"] >= 0.78


def test_run_skips_what_lacks_its_channels_and_fails_when_nothing_comes_out(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    home = ["--home", tmp_path / "home"]
    found = run_json(capsys, "run", write_edf(tmp_path / "heart.edf", labels=("ECG",)), "--out", tmp_path / "o", *home)
    assert set(found["steps"]) == {"convert"}
    assert "no EEG" in found["skipped"]["stage"]
    assert found["failed"] == {}
    code, out, _ = run(capsys, "run", write_edf(tmp_path / "x.edf", labels=("Xyzzy",)), "--out", tmp_path / "o", *home, "--json")
    assert code == 1
    assert {"convert", "stage"} <= set(json.loads(out)["skipped"])


def test_run_never_mixes_two_recordings_or_two_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path, shared: Path) -> None:
    home, steps = ["--home", tmp_path / "home"], ["--steps", "convert,embed,stage"]
    run_json(capsys, "models", "import", shared / "reference/vectors/model_base.pt", "--name", "base", *home)
    night = write_edf(tmp_path / "a" / "n.edf", seconds=330)
    first = run_json(capsys, "run", night, "--out", tmp_path / "o", *steps, *home)
    assert (first["id"], "embed" in first["steps"]) == ("n", True)
    other = write_edf(tmp_path / "b" / "n.edf", seconds=330, seed=1)
    assert run_json(capsys, "run", other, "--out", tmp_path / "o", *steps, *home)["id"] == "n-2"
    again = run_json(capsys, "run", night, "--out", tmp_path / "o", *steps, "--home", tmp_path / "empty-home")
    assert again["id"] == "n"
    assert sorted(Path(file).name for file in again["files"]) == ["hypnogram.csv", "provenance.json", "signals.hdf5"]


def test_run_embeds_with_the_encoder_on_the_shelf(capsys: pytest.CaptureFixture[str], tmp_path: Path, shared: Path) -> None:
    home = ["--home", tmp_path / "home"]
    vectors = shared / "reference/vectors"
    run_json(capsys, "models", "import", vectors / "model_base.pt", "--name", "base", *home)
    imported = run_json(
        capsys, "models", "import", vectors / "model_sleep_staging.pth", "--name", "head",
        "--config", vectors / "heads.config.json", *home,
    )  # fmt: skip
    assert imported["encoder"] == "base"
    listed = run_json(capsys, "models", "list", *home)["models"]
    assert {model["name"]: (model["task"], model["trained_on"], model["default"]) for model in listed} == {
        "base": ("encoder", "unknown", True),
        "head": ("staging", "unknown", True),
    }
    made = run_json(capsys, "run", write_edf(tmp_path / "n.edf", seconds=660), "--out", tmp_path / "o", *home)
    assert {"convert", "embed", "stage", "events", "statistics", "report"} == set(made["steps"])
    told = json.loads((tmp_path / "o/n/provenance.json").read_text("utf-8"))["events"]
    assert sum(told["counts"].values()) == len((tmp_path / "o/n/events.csv").read_text("utf-8").splitlines()) - 1
    assert told["skipped"]["Leg movements"] == "no usable leg EMG channel"
    with h5py.File(tmp_path / "o/n/embeddings_5s.hdf5") as fine, h5py.File(tmp_path / "o/n/embeddings_5min.hdf5") as coarse:
        assert set(fine) == {"BAS", "RESP", "EKG", "EMG"}
        assert fine["BAS"].shape[0] == 132
        assert coarse["BAS"].shape[0] == 3
    embedded = run_json(capsys, "embed", tmp_path / "n.edf", "--model", "base", "--out", tmp_path / "e", *home)
    record = embedded["records"][0]
    assert (record["id"], record["tokens"], record["windows"]) == ("n", 132, 3)
    assert record["modalities"] == {"BAS": 2, "RESP": 1, "EKG": 1, "EMG": 1}
    assert (tmp_path / "e/5s/n.hdf5").is_file()
    assert (tmp_path / "e/5min/n.hdf5").is_file()
    code, _, err = run(capsys, "embed", tmp_path / "n.edf", "--model", "head", "--out", tmp_path / "e2", *home)
    assert code == 2
    assert "encoder" in err


def test_a_folder_is_staged_file_by_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write_edf(tmp_path / "in" / "a.edf", seconds=330)
    (tmp_path / "in" / "b.edf").write_bytes(b"no recording at all")
    code, out, _ = run(capsys, "stage", tmp_path / "in", "--engine", "yasa", "--out", tmp_path / "out", "--json")
    found = json.loads(out)
    assert code == 1
    assert [record["id"] for record in found["records"]] == ["a"]
    assert (tmp_path / "out" / "a.csv").is_file()
    assert [Path(one["file"]).name for one in found["failed"]] == ["b.edf"]


def test_as_a_program_it_prints_no_traceback_and_closes_a_broken_pipe_quietly(tmp_path: Path) -> None:
    environment = {**os.environ, "SLEEPFM_HOME": str(tmp_path / "home")}
    words = [sys.executable, "-m", "sleepfm"]
    wrong = subprocess.run(
        [*words, "inspect", "/nowhere.edf"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert is_one_clear_line(wrong.stderr)
    debug = subprocess.run(
        [*words, "inspect", "/nowhere.edf", "--debug"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert "Traceback" in debug.stderr

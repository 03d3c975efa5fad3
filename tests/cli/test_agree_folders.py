"""`sleepfm agree` over two folders: the keys of two files, and what many nights tell beyond."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from sleepfm.cli.main import main
from sleepfm.recording.scorings.events_csv import write_events
from sleepfm.recording.scorings.formats import write_scoring
from sleepfm.recording.scorings.scoring import Event, Scoring


def folders(where: Path, nights: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Write the same nights by two scorers, B as `sleepfm batch` leaves them, and return all stages."""
    rng = np.random.default_rng(4)
    all_a, all_b = [], []
    for n in range(nights):
        a = np.repeat(rng.integers(0, 5, 20), 10).astype(np.int8)
        b = np.where(rng.random(200) < 0.85, a, rng.integers(0, 5, 200)).astype(np.int8)
        (where / "b" / f"n{n}").mkdir(parents=True)
        (where / "a").mkdir(exist_ok=True)
        write_scoring(Scoring(a), where / "a" / f"n{n}.csv")
        write_scoring(Scoring(b), where / "b" / f"n{n}" / "hypnogram.csv")
        write_events([Event(100.0, 120.0, "Hypopnea"), Event(400.0, 430.0, "Hypopnea")], where / "a" / f"n{n}_events.csv")
        write_events([Event(105.0, 130.0, "Hypopnea")], where / "b" / f"n{n}" / "events.csv")
        all_a.append(a)
        all_b.append(b)
    return np.concatenate(all_a), np.concatenate(all_b)


def test_the_keys_of_two_files_hold_for_all_nights_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = folders(tmp_path)
    (tmp_path / "a" / "extra.csv").write_bytes((tmp_path / "a" / "n0.csv").read_bytes())
    (tmp_path / "a" / "cohort.csv").write_text("Study ID,age\nn0,40\n")
    table = tmp_path / "people.csv"
    table.write_text("Study ID,Subject ID\n" + "".join(f"n{n},p{n // 2}\n" for n in range(5)))
    assert main(["agree", str(tmp_path / "a"), str(tmp_path / "b"), "--subjects", str(table), "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["kappa"] == pytest.approx(cohen_kappa_score(a, b))
    assert found["epochs"] == 1000 == np.sum(found["confusion"])
    assert {"accuracy", "macro_f1", "f1", "intervals", "per_night", "numbers", "events"} <= set(found)
    assert (found["nights"], found["subjects"]) == (5, 3)
    assert found["events"]["Hypopnea"]["both"] == 5
    assert found["events"]["Hypopnea"]["onset_difference_s"] == -5.0
    assert found["numbers"]["tst"]["bias_interval"] is not None
    assert found["numbers"]["ahi"]["bias"] > 0
    assert "1 night(s) are only in" in said.err


def test_a_bad_file_is_listed_and_the_others_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders(tmp_path, nights=2)
    (tmp_path / "a" / "n1.csv").write_text("Start,Stop,StageName,StageNumber\n0,x,Wake,0\n")
    assert main(["agree", str(tmp_path / "a"), str(tmp_path / "b")]) == 1
    said = capsys.readouterr()
    assert "n1 failed" in said.err
    assert "has no interval" in said.out
    assert said.out.startswith("1 night")


def test_a_file_and_a_folder_or_folders_without_a_common_name_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders(tmp_path, nights=1)
    (tmp_path / "c").mkdir()
    assert main(["agree", str(tmp_path / "a"), str(tmp_path / "a" / "n0.csv")]) == 2
    assert main(["agree", str(tmp_path / "a"), str(tmp_path / "c")]) == 2
    assert "no scoring in the one" in capsys.readouterr().err

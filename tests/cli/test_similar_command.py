"""`sleepfm index` and `sleepfm similar`: what they answer is what the embeddings say, and bad requests are one clear line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sleepfm.cli.main import main
from sleepfm.inference.embedding_files import read_embeddings
from sleepfm.library.library import Library
from sleepfm.vocabulary import Modality
from tests.cli.test_commands import is_one_clear_line, run, run_json
from tests.library.simulated_models import bundle
from tests.make_edf import write_edf

NO_ECG = ("C4-M1", "E1-M2", "Chin1-Chin2", "Airflow")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a home in which three short nights are indexed by an encoder that counts as trained on real recordings."""
    folder = tmp_path_factory.mktemp("similar")
    bundle(folder / "real", trained_on="a cohort")
    bundle(folder / "simulated")
    for number in range(3):
        labels = {"labels": NO_ECG} if number == 2 else {}
        write_edf(folder / "nights" / f"night_{number}.edf", seconds=960, seed=number, **labels)
    (folder / "nights" / "bad.edf").write_text("no recording")
    write_edf(folder / "elsewhere.edf", seconds=960, seed=7)
    return folder


@pytest.fixture(autouse=True)
def _home(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEPFM_BUNDLED_MODELS", str(world / "real"))
    monkeypatch.setenv("SLEEPFM_HOME", str(world / "home"))


@pytest.fixture(scope="module")
def indexed(world: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLEEPFM_BUNDLED_MODELS", str(world / "real"))
        patch.setenv("SLEEPFM_HOME", str(world / "home"))
        assert main(["index", str(world / "nights")]) == 1  # one file is no recording
    return world


def test_a_folder_is_added_and_indexed_and_a_bad_file_is_listed(indexed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "index", indexed / "nights", "--json")
    assert code == 1
    assert is_one_clear_line(err)
    assert "bad.edf" in err
    assert '"rows": 12' in out
    assert '"indexed": []' in out  # all of them are there already
    with Library.open(indexed / "home") as library:
        assert sorted(study.id for study in library.studies()) == ["night_0", "night_1", "night_2"]
        assert library.study("night_0").quality is not None
    assert run_json(capsys, "index")["indexed"] == []
    assert run_json(capsys, "index", "night_1")["rows"] == 12


def test_neighbours_are_those_of_the_embeddings(indexed: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    nights = [indexed / "nights" / f"night_{number}.edf" for number in range(3)]
    run_json(capsys, "embed", *nights, "--model", "demo-encoder", "--out", tmp_path)
    rows = {night.stem: read_embeddings(tmp_path / "5min" / f"{night.stem}.hdf5").rows for night in nights}
    query = rows["night_0"][Modality.RESP][1]
    similarity = {
        (study, 300.0 * window): float(row @ query / np.linalg.norm(row) / np.linalg.norm(query))
        for study in rows
        for window, row in enumerate(rows[study][Modality.BAS][:3])  # the fourth window is not whole
    }
    own = similarity[("night_0", 300.0)]
    for study in [one for one in similarity if one[0] == "night_0"]:
        del similarity[study]
    expected = sorted(similarity, key=lambda one: -similarity[one])
    for name in ("night_0", nights[0]):
        found = run_json(capsys, "similar", name, "--query", "RESP", "--at", "599", "--target", "BAS", "--top", 4)
        assert [(one["study"], one["start_s"]) for one in found["neighbours"]] == expected[:4]
        assert [one["similarity"] for one in found["neighbours"]] == pytest.approx(
            [similarity[one] for one in expected[:4]], abs=1e-5
        )
        assert found["candidates"] == 6
        assert found["true_partner_rank"] == 1 + sum(other > own for other in similarity.values())
        assert (found["query"]["study"], found["query"]["modality"], found["query"]["target"]) == ("night_0", "RESP", "BAS")


def test_a_recording_that_is_not_in_the_library_leaves_nothing_behind(indexed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(path for path in (indexed / "home" / "studies").rglob("*"))
    words = ["similar", indexed / "elsewhere.edf", "--query", "BAS", "--at", "0", "--target", "EKG"]
    found = run_json(capsys, *words)
    assert {one["study"] for one in found["neighbours"]} == {"night_0", "night_1"}  # the third has no ECG
    assert found["candidates"] == 6
    assert 1 <= found["true_partner_rank"] <= 7
    assert sorted(path for path in (indexed / "home" / "studies").rglob("*")) == before
    code, out, err = run(capsys, *words)
    assert code == 0
    assert "6 clips of EKG were compared; the query's own ranks" in out
    assert "Nobody stated who was recorded" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["night_0", "--query", "RESP", "--at", "960", "--target", "BAS"], "outside the night, which is 960 s long"),
        (["night_0", "--query", "RESP", "--at", "950", "--target", "BAS"], "not whole"),
        (["night_0", "--query", "PPG", "--at", "0", "--target", "BAS"], "no modality 'PPG': there are BAS, RESP, EKG, EMG"),
        (["night_2", "--query", "EKG", "--at", "0", "--target", "BAS"], "night_2 has no EKG signal that can be used"),
        (["nobody", "--query", "RESP", "--at", "0", "--target", "BAS"], "neither a file nor a study"),
        (["night_0", "--query", "RESP", "--at", "0", "--target", "BAS", "--model", "nothing"], "no model named 'nothing'"),
        (["night_0", "--query", "RESP", "--at", "0", "--target", "BAS", "--model", "demo-staging"], "not an encoder"),
        (["night_0", "--query", "RESP", "--at", "0", "--target", "BAS", "--home", "empty"], "no study is indexed|neither a file"),
    ],
)
def test_a_request_that_cannot_be_answered_is_one_clear_line(
    indexed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(indexed)
    code, out, err = run(capsys, "similar", *words)
    assert (code, out) == (2, "")
    assert is_one_clear_line(err)
    assert any(one in err for one in said.split("|"))


def test_a_recording_and_an_empty_index(indexed: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["--query", "RESP", "--at", "0", "--target", "BAS", "--home", tmp_path / "empty"]
    code, _, err = run(capsys, "similar", indexed / "elsewhere.edf", *words)
    assert code == 2
    assert is_one_clear_line(err)
    assert "run `sleepfm index --model demo-encoder` first" in err


def test_a_simulated_encoder_must_be_named_for_real_recordings(
    indexed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SLEEPFM_BUNDLED_MODELS", str(indexed / "simulated"))
    home = ["--home", tmp_path / "home"]
    code, _, err = run(capsys, "index", indexed / "nights" / "night_0.edf", *home)
    assert code == 1
    assert is_one_clear_line(err)
    assert "ask for it by name (--model demo-encoder)" in err
    named = ["--model", "demo-encoder"]
    assert run_json(capsys, "index", *named, *home)["indexed"] == ["night_0"]
    words = ["similar", "night_0", "--query", "RESP", "--at", "0", "--target", "BAS"]
    code, _, err = run(capsys, *words, *home)
    assert code == 2
    assert "--model demo-encoder" in err
    code, _, err = run(capsys, *words, *named, *home)
    assert code == 2
    assert "no night of another person is indexed" in err

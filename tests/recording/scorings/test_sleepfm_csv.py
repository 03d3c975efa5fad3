import itertools
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from sleepfm.errors import RequestError, ScoringError
from sleepfm.recording.scorings.formats import read_scoring, write_scoring
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.vocabulary import Stage

HEADER = "Start,Stop,StageName,StageNumber\n"
any_stage = st.sampled_from(list(Stage)).map(int)


def written(folder: Path, text: str, name: str = "scoring.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_the_expert_scoring_of_the_real_night(shared):
    scoring = read_scoring(shared / "data" / "psg" / "ucddb018_expert.csv")
    lines = (shared / "data" / "psg" / "ucddb018_expert.csv").read_text().splitlines()[1:]
    assert len(scoring.stages) == len(lines) == 822
    assert scoring.stages.tolist() == [int(line.rsplit(",", 1)[1]) for line in lines]
    assert scoring.warnings == ()
    assert scoring.probabilities is None


@settings(deadline=None)
@given(st.lists(any_stage, min_size=1, max_size=200))
def test_stages_survive_writing_and_reading(tmp_path_factory, stages):
    path = tmp_path_factory.mktemp("csv") / "s.csv"
    write_scoring(Scoring(np.array(stages, dtype=np.int8)), path)
    back = read_scoring(path)
    assert back.stages.tolist() == stages
    assert back.warnings == ()


@settings(deadline=None)
@given(st.lists(st.tuples(any_stage, st.lists(st.integers(1, 1000), min_size=5, max_size=5)), min_size=1, max_size=40))
def test_probabilities_survive_writing_and_reading(tmp_path_factory, epochs):
    stages = np.array([stage for stage, _ in epochs], dtype=np.int8)
    weights = np.array([w for _, w in epochs], dtype=np.float64)
    probabilities = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    probabilities[stages == Stage.UNKNOWN] = np.nan
    path = tmp_path_factory.mktemp("csv") / "s.csv"
    write_scoring(Scoring(stages, probabilities), path)
    assert path.read_text().splitlines()[0] == "Start,Stop,StageName,StageNumber,PWake,PN1,PN2,PN3,PREM"
    back = read_scoring(path)
    assert back.stages.tolist() == stages.tolist()
    if (stages != Stage.UNKNOWN).any():
        np.testing.assert_array_equal(back.probabilities, probabilities)


def test_an_unknown_epoch_is_written_with_empty_probabilities(tmp_path):
    probabilities = np.array([[0.1, 0.2, 0.3, 0.25, 0.15], [np.nan] * 5], dtype=np.float32)
    write_scoring(Scoring(np.array([2, -1], dtype=np.int8), probabilities), tmp_path / "s.csv")
    assert (tmp_path / "s.csv").read_text().splitlines()[1:] == ["0,30,Stage 2,2,0.1,0.2,0.3,0.25,0.15", "30,60,Unknown,-1,,,,,"]


@settings(deadline=None)
@given(st.lists(any_stage, min_size=1, max_size=60))
def test_rows_of_5_s_and_rows_of_a_bout_say_the_same_as_rows_of_an_epoch(tmp_path_factory, stages):
    folder = tmp_path_factory.mktemp("csv")
    names = {-1: "Unknown", 0: "Wake", 1: "Stage 1", 2: "Stage 2", 3: "Stage 3", 4: "REM"}
    short = [f"{30 * k + 5 * j},{30 * k + 5 * j + 5},{names[s]},{s}\n" for k, s in enumerate(stages) for j in range(6)]
    edges = [k for k in range(len(stages)) if k == 0 or stages[k] != stages[k - 1]] + [len(stages)]
    bouts = [f"{30.0 * a},{30.0 * b},{names[stages[a]]},{stages[a]}\n" for a, b in itertools.pairwise(edges)]
    for text in (HEADER + "".join(short), HEADER + "".join(bouts)):
        back = read_scoring(written(folder, text))
        assert back.stages.tolist() == stages
        assert back.warnings == ()


def test_trailing_commas_repeated_rows_and_further_columns_are_read(tmp_path):
    text = (
        "\ufeffStart,Stop,StageName,StageNumber,EmbeddingNumber,\r\n0.0,5190.0,Wake,0,,\r\n0.0,5190.0,Wake,0,1,\r\n\r\n"
        "5190,5220,stage 1,1,2,,\r\n"
    )
    scoring = read_scoring(written(tmp_path, text))
    assert np.bincount(scoring.stages).tolist() == [173, 1]
    assert any("repeated" in warning for warning in scoring.warnings)


def test_majority_wins_and_a_tie_is_unknown_never_wake(tmp_path):
    rows = "0,20,Stage 2,2\n20,40,Wake,0\n40,60,Stage 2,2\n60,75,REM,4\n75,90,Stage 1,1\n90,100,REM,4\n"
    scoring = read_scoring(written(tmp_path, HEADER + rows), duration_s=150)
    # N2 20 of 30 s; N2 20 of 30 s; REM and N1 15 s each; REM 10 s and nothing for 20 s; nothing at all
    assert scoring.stages.tolist() == [2, 2, -1, -1, -1]
    assert any("tie" in warning for warning in scoring.warnings)


def test_time_that_nobody_scored_is_unknown(tmp_path):
    scoring = read_scoring(written(tmp_path, HEADER + "60,90,REM,4\n120,150,Wake,0\n"))
    assert scoring.stages.tolist() == [-1, -1, 4, -1, 0]


def test_rk_stage_4_is_n3_and_movement_time_unknown(tmp_path):
    scoring = read_scoring(written(tmp_path, "Start,Stop,StageName\n0,30,Stage 4\n30,60,S3\n60,90,Movement time\n90,120,R\n"))
    assert scoring.stages.tolist() == [3, 3, -1, 4]


def test_a_scoring_longer_than_the_signal_is_clipped_and_says_so(tmp_path):
    scoring = read_scoring(written(tmp_path, HEADER + "0,90,Wake,0\n90,3000,Stage 2,2\n"), duration_s=130.5)
    assert scoring.stages.tolist() == [0, 0, 0, 2]
    assert any("2869.5 s past the end" in warning for warning in scoring.warnings)


def test_5_s_probabilities_become_30_s_by_their_mean(tmp_path):
    rows = [f"{5 * k},{5 * k + 5},Wake,0,{0.5 + 0.1 * (k % 2)},{0.5 - 0.1 * (k % 2)},0,0,0\n" for k in range(6)]
    text = HEADER.strip() + ",PWake,PN1,PN2,PN3,PREM\n" + "".join(rows)
    scoring = read_scoring(written(tmp_path, text))
    np.testing.assert_allclose(scoring.probabilities, [[0.55, 0.45, 0, 0, 0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("0,30,Wake,0\n15,45,REM,4\n", "line 3"),
        ("0,30,Wake,0\n30,60,Sleepy,0\n", "line 3"),
        ("0,30,Wake,4\n", "line 2"),
        ("0,30,REM,5\n", "line 2"),
        ("zero,30,Wake,0\n", "line 2"),
        ("30,30,Wake,0\n", "line 2"),
        ("-30,0,Wake,0\n", "line 2"),
        ("0,nan,Wake,0\n", "line 2"),
        ("0,1e300,Wake,0\n", "line 2"),
        ("0,30,,\n", "line 2"),
    ],
)
def test_bad_rows_are_refused_with_their_line(tmp_path, rows, said):
    path = written(tmp_path, HEADER + rows)
    with pytest.raises(ScoringError) as error:
        read_scoring(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x89PNG\r\n\x1a\n" + bytes(100), b"Start,Stop,Event\n0,1,Hypnogram\n"])
def test_what_is_no_scoring_is_refused(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(ScoringError, match="x"):
        read_scoring(path)


def test_a_missing_path_and_a_folder_are_wrong_requests(tmp_path):
    for path in (tmp_path / "nobody.csv", tmp_path):
        with pytest.raises(RequestError):
            read_scoring(path)


@settings(deadline=None)
@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(tmp_path_factory, text):
    path = written(tmp_path_factory.mktemp("csv"), HEADER + text)
    try:
        scoring = read_scoring(path, duration_s=300)
    except ScoringError:
        return
    assert len(scoring.stages) == 10


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "s.csv"
    write_scoring(Scoring(np.array([0], dtype=np.int8)), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="9"):
        write_scoring(Scoring(np.array([0, 9], dtype=np.int8)), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["s.csv"]

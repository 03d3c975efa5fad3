import numpy as np
import pytest

from sleepfm.errors import RequestError
from sleepfm.evaluation.held_out import HeldOut, describe, seen_in_pretraining, separate
from sleepfm.evaluation.settings import EvaluationSettings
from tests.evaluation.made_up import IDS, QUICK, N, held_out


def test_a_person_seen_with_another_night_is_seen():
    subject_of = {"a1": "anna", "a2": "anna", "b1": "bert", "c1": "carla"}
    assert seen_in_pretraining(["a2", "b1"], subject_of, ["a1", "c1"]) == {"a2"}
    assert seen_in_pretraining(["x"], {}, ["x", "y"]) == {"x"}
    assert seen_in_pretraining(["b1", "v1.2"], subject_of, ["folder/b1.hdf5", "v1.2"]) == {"b1", "v1.2"}


def test_seen_recordings_are_out_of_the_headline_and_said_first():
    found = separate(held_out(seen=IDS[:4]), QUICK)
    assert found.headline_n.sum() == N - 4
    assert found.seen_n.sum() == 4
    assert not (found.headline_n & found.seen_n).any()
    assert found.warnings[0].startswith("4 of 24 recordings are of people that the encoder saw")
    assert describe(held_out(seen=IDS[:4]), found.headline_n).seen == IDS[:4]


def test_a_test_set_that_was_all_seen_is_refused_unless_it_is_asked_for():
    with pytest.raises(RequestError, match="nothing is held out"):
        separate(held_out(seen=IDS), QUICK)
    found = separate(held_out(seen=IDS), EvaluationSettings(allow_seen=True))
    assert found.headline_n.all()
    assert not found.seen_n.any()
    assert found.warnings[0].startswith("NOT HELD OUT: 24 of 24")


def test_unknown_pretraining_is_a_warning():
    assert "not known on which recordings" in separate(held_out(seen=None), QUICK).warnings[0]


def test_columns_that_are_not_there_are_named():
    settings = EvaluationSettings(groups=("sex", "race"))
    assert separate(held_out(), settings).warnings == ("the cohort's table has no column race: no results by it",)


def test_an_empty_test_set_is_refused():
    with pytest.raises(RequestError, match="no recording is left"):
        separate(HeldOut((), (), source="the test split"), QUICK)


def test_entries_must_fit():
    with pytest.raises(ValueError, match="stands twice"):
        HeldOut(("a", "a"), ("p", "q"))
    with pytest.raises(ValueError, match="age has 1 entries for 2"):
        HeldOut(("a", "b"), ("p", "q"), {"age": np.ones(1)})


def test_recordings_taken_out_keep_their_reason():
    kept = held_out().only(np.arange(N) >= 2, "no answer")
    assert kept.recordings == IDS[2:]
    assert len(kept.columns["age"]) == N - 2
    assert kept.left_out == {"night99": "corrupt <file>", "night00": "no answer", "night01": "no answer"}

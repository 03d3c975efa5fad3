import numpy as np

from sleepfm.analysis.estimates import Estimate
from sleepfm.analysis.subgroups import by_group, divide


def counted(mask_n):
    return {"rows": Estimate(float(mask_n.sum()), None, None, int(mask_n.sum()), 1)}


def test_every_value_of_a_text_column_is_a_group_and_missing_is_not_stated():
    groups = divide(np.array(["A", "B", "", "A", None], dtype=object))
    assert {label: mask_n.tolist() for label, mask_n in groups.items()} == {
        "A": [True, False, False, True, False],
        "B": [False, True, False, False, False],
        "not stated": [False, False, True, False, True],
    }
    assert list(divide(np.array([2.0, 1.0, np.nan, 2.0]))) == ["1", "2", "not stated"]


def test_numbers_with_many_values_are_put_into_equal_groups():
    bmi_n = np.arange(20.0, 40.0)
    groups = divide(bmi_n)
    assert list(groups) == ["20 to 24", "25 to 29", "30 to 34", "35 to 39"]
    assert np.sum(list(groups.values()), axis=0).tolist() == [1] * 20
    tied = divide(np.array([1.0, 1, 1, 1, 2, 3]), parts=3)
    assert np.sum(list(tied.values()), axis=0).tolist() == [1] * 6


def test_age_goes_by_tenths_and_by_fewer_where_they_would_be_too_small():
    age_n = np.random.default_rng(0).permutation(100) + 0.5
    found = by_group(counted, {"age": age_n}, np.arange(100))
    assert [group.subjects for group in found] == [10] * 10
    assert [group.subjects for group in by_group(counted, {"age": age_n[:20]}, np.arange(20))] == [5] * 4


def test_a_group_that_is_too_small_is_named_and_not_measured():
    sex_n = np.array(["female"] * 12 + ["male"] * 8)
    subjects_n = np.array([*range(12), *([20] * 8)])  # eight recordings of one man
    female, male = by_group(counted, {"sex": sex_n}, subjects_n)
    assert (female.label, female.estimates["rows"].value, female.reason) == ("female", 12, "")
    assert (male.recordings, male.subjects, male.estimates) == (8, 1, {})
    assert male.reason == "too small to report: fewer than 5 subjects"


def test_a_column_of_names_does_not_make_a_thousand_rows():
    found = by_group(counted, {"id": np.array([f"p{i:04d}" for i in range(300)])}, np.arange(300))
    assert len(found) == 51
    assert (found[-1].label, found[-1].recordings) == ("all others", 250)
    assert "300 different values" in found[-1].reason


def test_whole_numbers_are_numbers():
    assert list(divide(np.arange(40))) == ["0 to 9", "10 to 19", "20 to 29", "30 to 39"]
    assert list(divide(np.array([1, 0, 1]))) == ["0", "1"]
    assert divide(np.zeros(0)) == {}

"""What is read of scorings, events, follow-up and people, and what is refused in one line."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepfm.errors import RequestError, ScoringError, SleepFMError
from sleepfm.recording.scorings.scoring import Event
from sleepfm.training.labels import (
    LabelFiles,
    apnea_hypopnea_index,
    read_breathing,
    read_demographics,
    read_stages,
    read_survival,
    sdb_epochs,
)
from sleepfm.vocabulary import EventName

SEX_CODE = {"female": 0.0, "male": 1.0}


def hypopnea(start_s: float, stop_s: float) -> Event:
    return Event(start_s, stop_s, EventName.HYPOPNEA)


def table(path: Path, *rows: tuple[object, ...]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


class TestEpochsWithEvents:
    @pytest.mark.parametrize(
        ("event", "epochs"),
        [
            (hypopnea(5, 25), [0]),
            (hypopnea(25, 40), [1]),  # 5 s and 10 s of 15 s: only the second holds enough of it
            (hypopnea(20, 40), [0, 1]),  # 10 s in each
            (hypopnea(22, 34), [0]),  # 8 of 12 s are more than half
            (hypopnea(10, 100), [0, 1, 2, 3]),  # 20, 30, 30 and 10 s
            (hypopnea(10, 95), [0, 1, 2]),  # only 5 s reach into the fourth
            (hypopnea(115, 200), []),  # 5 s before the end of what was recorded
            (Event(0, 30, EventName.AROUSAL), []),
            (Event(0, 30, EventName.CENTRAL_APNEA), [0]),
        ],
    )
    def test_by_overlap_of_10_s_or_half_the_event(self, event: Event, epochs: list[int]) -> None:
        assert np.flatnonzero(sdb_epochs([event], 4)).tolist() == epochs

    @given(start_s=st.floats(0, 500), length_s=st.floats(1, 120))
    def test_every_event_marks_an_epoch_and_only_where_it_is(self, start_s: float, length_s: float) -> None:
        marked_e = sdb_epochs([hypopnea(start_s, start_s + length_s)], 30)

        touched = range(int(start_s // 30), int((start_s + length_s) // 30) + 1)
        assert marked_e.any()
        assert set(np.flatnonzero(marked_e)) <= set(touched)


class TestIndex:
    def test_counts_events_of_sleep_an_hour_of_sleep(self) -> None:
        stages_e = np.array([0] * 60 + [2] * 60)  # half an hour awake, half an hour asleep
        events = [hypopnea(100, 120), hypopnea(1790, 1810), hypopnea(2000, 2020), Event(2500, 2520, EventName.AROUSAL)]

        assert apnea_hypopnea_index(events, stages_e) == 4.0  # two of them touch half an hour of sleep

    def test_is_unknown_without_half_an_hour_of_sleep(self) -> None:
        assert np.isnan(apnea_hypopnea_index([hypopnea(10, 30)], np.array([2] * 59 + [-1] * 100)))


class TestScorings:
    def test_run_lengths_are_expanded_and_what_does_not_fit_is_said(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_text("Start,Stop,StageName,StageNumber\n0,90,Wake,0\n90,150,Stage 2,2\n")

        assert read_stages(path, 150.0) == (pytest.approx(np.array([0, 0, 0, 2, 2])), ())
        shorter_e, said = read_stages(path, 240.0)
        assert shorter_e.tolist() == [0, 0, 0, 2, 2, -1, -1, -1]
        assert said[-1] == "the last 3 of 8 epochs are not scored"
        longer_e, said = read_stages(path, 60.0)
        assert longer_e.tolist() == [0, 0]
        assert "past the end" in said[0]

    def test_that_score_nothing_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_text("Start,Stop,StageName,StageNumber\n0,90,Unknown,-1\n")

        with pytest.raises(ScoringError, match="scores no epoch"):
            read_stages(path, 90.0)

    def test_epochs_that_nobody_scored_are_unknown_to_breathing_too(self, tmp_path: Path) -> None:
        path = tmp_path / "a_events.csv"
        path.write_text("Start,Stop,Event,Channel,Source\n5,25,Hypopnea,,\n65,85,Hypopnea,,\n")

        assert read_breathing(path, np.array([2, 2, -1, 0])).sdb_e.tolist() == [1, 0, -1, 0]

    def test_are_found_by_the_studys_id_and_named_when_missing(self, tmp_path: Path) -> None:
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / "a.csv").touch()
        (tmp_path / "a_events.csv").touch()
        files = LabelFiles([tmp_path])

        assert files.scoring("a") == tmp_path / "deep" / "a.csv"
        assert files.events("a") == tmp_path / "a_events.csv"
        with pytest.raises(ScoringError, match=r"b_events\.csv"):
            files.events("b")
        with pytest.raises(RequestError, match="no such folder"):
            LabelFiles([tmp_path / "nowhere"])


class TestFollowUp:
    def files(self, tmp_path: Path, events: list[tuple[object, ...]], years: list[tuple[object, ...]]) -> tuple[Path, Path]:
        return table(tmp_path / "is_event.csv", *events), table(tmp_path / "time_to_event.csv", *years)

    def test_conditions_are_matched_by_name_and_empty_cells_are_unknown(self, tmp_path: Path) -> None:
        found = read_survival(
            *self.files(
                tmp_path,
                [("Study ID", "A", "B"), ("s1", 1, 0), ("s2", "", 1), ("s3", 0, 0)],
                [("B", "A", "Study ID"), (3.5, 0, "s1"), (2, 1, "s2"), (1, 1, "other")],
            ),
            {"s1", "s2", "s3"},
        )

        assert found.conditions == ("A", "B")
        assert set(found.years_k) == {"s1", "s2"}
        assert found.known_k["s1"].tolist() == [False, True]  # A was there before the night
        assert found.known_k["s2"].tolist() == [False, True]
        assert found.event_k["s2"].tolist() == [False, True]
        assert found.years_k["s1"].tolist() == [0.0, 3.5]
        assert found.not_usable == 1

    @pytest.mark.parametrize(
        ("events", "years", "message"),
        [
            ([("Study ID", "A"), ("s1", 2)], [("Study ID", "A"), ("s1", 1)], "neither 1, 0 nor empty"),
            ([("Study ID", "A"), ("s1", 1)], [("Study ID", "A"), ("s1", "soon")], "line 2: A: 'soon' is no number"),
            ([("Study ID", "A"), ("s1", 1)], [("Study ID", "C"), ("s1", 1)], "different conditions: A, C"),
            ([("Study ID", "A"), ("s1", 1), ("s1", 0)], [("Study ID", "A"), ("s1", 1)], "second time"),
            ([("Study ID", "A"), ("s1", 1, 1)], [("Study ID", "A"), ("s1", 1)], "has 3 cells"),
            ([("Study", "A"), ("s1", 1)], [("Study ID", "A"), ("s1", 1)], "must name Study ID"),
            ([("Study ID", "A"), ("zz", 1)], [("Study ID", "A"), ("zz", 1)], "none of the 1 studies"),
        ],
    )
    def test_tables_that_do_not_fit_are_refused(
        self, tmp_path: Path, events: list[tuple[object, ...]], years: list[tuple[object, ...]], message: str
    ) -> None:
        with pytest.raises(SleepFMError, match=message):
            read_survival(*self.files(tmp_path, events, years), {"s1"})

    def test_a_missing_table_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(RequestError, match=r"nothing\.csv: cannot be read"):
            read_survival(tmp_path / "nothing.csv", tmp_path / "nothing.csv", {"s1"})


class TestPeople:
    def test_sex_may_be_a_word_or_a_number(self, tmp_path: Path) -> None:
        rows = [("Study ID", "age", "gender"), ("a", 61.5, "F"), ("b", 40, 1), ("c", "", 0), ("d", 3, "male"), ("x", "?", "?")]

        found = read_demographics(table(tmp_path / "p.csv", *rows), {"a", "b", "c", "d"}, SEX_CODE)

        assert found == {"a": (61.5, "female"), "b": (40.0, "male"), "d": (3.0, "male")}

    def test_the_cohorts_own_table_will_do(self, tmp_path: Path) -> None:
        path = table(tmp_path / "cohort.csv", ("Study ID", "Subject ID", "age", "sex"), ("a", "p", 50, "female"))

        assert read_demographics(path, {"a"}, SEX_CODE) == {"a": (50.0, "female")}

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([("Study ID", "age", "gender"), ("a", 50, 7)], "line 2: gender 7 is none of the numbers"),
            ([("Study ID", "age", "gender"), ("a", 50, "\x1b[31m")], r"x1b.*is no number"),
            ([("Study ID", "age", "gender"), ("a", 500, 1)], "no age in years"),
            ([("Study ID", "age"), ("a", 50)], "no column gender"),
            ([("Study ID", "gender"), ("a", 1)], "no column age"),
        ],
    )
    def test_what_is_no_person_is_refused(self, tmp_path: Path, rows: list[tuple[object, ...]], message: str) -> None:
        with pytest.raises(SleepFMError, match=message):
            read_demographics(table(tmp_path / "p.csv", *rows), {"a"}, SEX_CODE)

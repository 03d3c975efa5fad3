"""The stored risks of many people: who is counted, who is not and why, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from lifelines.utils import concordance_index
from sksurv.compare import compare_survival
from sksurv.util import Surv

from sleepfm.errors import ModelError, RequestError
from sleepfm.library import cohort_answers, facts, job_risk, subsets
from sleepfm.library.cohort_answers import cohort_answer, matched_answer
from sleepfm.library.cohort_risk import (
    LATER_NIGHT,
    NIGHT_ALONE,
    NO_SCORE,
    TOLD_OTHERWISE,
    CohortQuestion,
    MatchQuestion,
    collect,
    models_with_risks,
    queue_risks,
    several_nights,
)
from sleepfm.library.follow_up import outcomes
from sleepfm.library.library import Library
from sleepfm.library.night_pair import night_pair
from sleepfm.models.bundled import ENVIRONMENT
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.training.run_folder import CONFIG_FILE
from tests.library.followed_library import CONDITIONS, followed_library, store_risk
from tests.viewer.made_up_risk import made_up_card

PEOPLE = 60


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return followed_library(tmp_path_factory.mktemp("followed"), PEOPLE)


@pytest.fixture
def own_library(tmp_path: Path) -> Library:
    return followed_library(tmp_path, 12)


def test_one_night_a_person_the_earliest(library: Library) -> None:
    found = collect(library, "risky")
    assert len(found.people) == len({one.subject for one in found.people}) == PEOPLE
    assert all(not one.study.endswith("b") for one in found.people)
    assert found.left_out == {f"n{number:03d}b": LATER_NIGHT for number in range(0, PEOPLE, 10)}
    assert found.log_hazard_nk.shape == (PEOPLE, len(CONDITIONS))
    assert models_with_risks(library) == {"risky": PEOPLE + 6}
    assert several_nights(library)["p010"] == ("n010", "n010b")
    library.connection.execute("UPDATE studies SET start = '2019-01-01T22:00:00' WHERE id = 'n010b'")
    assert "n010b" in {one.study for one in collect(library, "risky").people}
    library.connection.execute("UPDATE studies SET start = '2020-01-02T22:30:00' WHERE id = 'n010b'")


def test_answers_are_those_of_other_libraries(library: Library) -> None:
    found = cohort_answer(library.home, CohortQuestion("risky", "SIM-01", horizon_years=3.0))
    assert found.scored == len(found.people) == PEOPLE
    groups = np.array([np.searchsorted([g.highest for g in found.groups.groups], score) for score in found.log_hazard_n])
    statistic, p = compare_survival(Surv.from_arrays(found.event_n, found.years_n), groups)
    assert found.groups.log_rank.statistic == pytest.approx(statistic)
    assert found.groups.log_rank.p == pytest.approx(p)
    (told,) = [one for one in found.assessment.conditions if one.name == "SIM-01"]
    assert told.model.c_index.value == pytest.approx(concordance_index(found.years_n, -found.log_hazard_n, found.event_n))
    assert (told.n, told.events) == (PEOPLE, int(found.event_n.sum()))
    assert told.model.c_index.low < told.model.c_index.value < told.model.c_index.high
    assert told.enrichment.events_in_top.value > 0.2, "the scores of SIM-01 tell something"
    assert found.demographics_groups.log_rank.p == pytest.approx(found.groups.log_rank.p), "half the score orders people alike"
    assert list(found.assessment.unusable) == []
    assert found.conditions_followed == 3
    assert len(found.assessment.conditions) == 2, "nobody had SIM-03"


def test_the_table_holds_the_condition_that_was_asked_for(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohort_answers, "MOST_CONDITIONS", 1)
    for phecode in ("SIM-01", "SIM-02"):
        found = cohort_answer(library.home, CohortQuestion("risky", phecode))
        assert [one.name for one in found.assessment.conditions] == [phecode]


def test_no_events_no_follow_up_and_unknown_conditions_are_said(library: Library, own_library: Library) -> None:
    calm = cohort_answer(library.home, CohortQuestion("risky", "SIM-03"))
    assert calm.groups.log_rank is None
    assert "no events" in calm.groups.reason
    with pytest.raises(RequestError, match="does not speak of condition 'SIM-99'"):
        cohort_answer(library.home, CohortQuestion("risky", "SIM-99"))
    with pytest.raises(RequestError, match="choose 2 to 5"):
        cohort_answer(library.home, CohortQuestion("risky", "SIM-01", groups=9))
    own_library.connection.execute("DELETE FROM outcomes WHERE condition = 'SIM-02'")
    lacking = cohort_answer(own_library.home, CohortQuestion("risky", "SIM-02"))
    assert (lacking.groups, lacking.people) == (None, ())
    assert "Nobody's follow-up of this condition" in lacking.reason


def test_a_subset_without_scores_and_different_weights_are_refused(own_library: Library) -> None:
    risk_numbers = [row["id"] for row in own_library.connection.execute("SELECT id FROM risks WHERE study = 'n003'")]
    own_library.connection.execute("DELETE FROM risks WHERE study = 'n003'")
    assert risk_numbers
    subsets.save(own_library, "three", ["n003"])
    with pytest.raises(RequestError, match="none of these 1 studies has a risk by risky"):
        cohort_answer(own_library.home, CohortQuestion("risky", "SIM-01", subset="three"))
    assert collect(own_library, "risky").left_out["n003"] == NO_SCORE
    store_risk(own_library, "n003", [0.0, 0.0, 0.0], weights_sha256="c" * 64)
    with pytest.raises(ModelError, match=r"different weights .*13 by aaaaaaaa… and 1 by cccccccc…"):
        collect(own_library, "risky")
    assert len(collect(own_library, "risky", ["n003"]).people) == 1, "one study has one model"


def test_a_score_for_another_age_than_the_tables_state_is_in_no_figure(own_library: Library) -> None:
    true = collect(own_library, "risky", ["n003"]).log_hazard_nk
    store_risk(own_library, "n003", [9.0, 9.0, 9.0], age=30.0)  # newer: what if the person were 30?
    np.testing.assert_array_equal(collect(own_library, "risky", ["n003"]).log_hazard_nk, true)
    facts.store(own_library, "n003", {"age": "31"})
    assert collect(own_library, "risky").left_out["n003"] == TOLD_OTHERWISE
    with pytest.raises(RequestError, match="for the age and sex that the tables state"):
        collect(own_library, "risky", ["n003"])
    facts.store(own_library, "n003", {"age": ""})
    assert collect(own_library, "risky", ["n003"]).log_hazard_nk[0, 0] == 9.0


def test_real_people_are_not_matched_with_simulated_ones(own_library: Library) -> None:
    asked = MatchQuestion("n004", "risky", "SIM-01", caliper_years=20.0)
    before = matched_answer(own_library.home, asked)
    gone = before.others[0].study
    store_risk(own_library, gone, [9.0, 9.0, 9.0], simulated_recording=not before.simulated)
    after = matched_answer(own_library.home, asked)
    assert gone not in {one.study for one in after.others}
    assert after.candidates == before.candidates - 1


def test_scores_without_age_and_sex_are_not_mixed_with_whole_ones(own_library: Library) -> None:
    store_risk(own_library, "n004", [9.0, 9.0, 9.0], demographics_left_out=True)
    found = collect(own_library, "risky")
    assert found.left_out["n004"] == NIGHT_ALONE
    assert not found.night_alone
    assert collect(own_library, "risky", ["n004"]).night_alone
    with pytest.raises(RequestError, match="leaves age and sex out"):
        matched_answer(own_library.home, MatchQuestion("n004", "risky", "SIM-01"))


def test_a_score_made_from_other_bytes_counts_no_more(own_library: Library) -> None:
    own_library.store_hash("n005", "f" * 64)
    assert "n005" not in {one.study for one in collect(own_library, "risky").people}


def test_people_that_the_model_was_trained_on_are_counted(own_library: Library) -> None:
    home = own_library.home
    question = CohortQuestion("risky", "SIM-01")
    assert "no longer on the shelf" in cohort_answer(home, question).seen
    card = made_up_card(3).model_dump_json()
    (home.models / "risky").mkdir()
    (home.models / "risky" / "model.json").write_text(card)
    assert "Nobody can tell" in cohort_answer(home, question).seen
    run = home.runs / "risky"
    (run / "model").mkdir(parents=True)
    (run / "model" / "model.json").write_text(card)
    splits, cohort = run / "splits.json", run / "cohort.csv"
    splits.write_text(json.dumps({"train": ["n000b", "n003", "elsewhere"], "validation": [], "test": ["n004"]}))
    cohort.write_text("Study ID,Subject ID\nn000b,p000\nn003,p003\n")
    data = {"splits": str(splits), "cohort": str(cohort), "lists": ["train"]}
    (run / CONFIG_FILE).write_text(yaml.safe_dump({"data": data, "training": {"seed": 0}}))
    assert "trained on 2 of these 12 people" in cohort_answer(home, question).seen, "another night of a person counts"
    splits.write_text(json.dumps({"train": ["elsewhere"]}))
    assert cohort_answer(home, question).seen == "The model was trained on none of these people."


def test_matched_people_are_others_of_the_same_sex_and_about_the_same_age(library: Library) -> None:
    found = matched_answer(library.home, MatchQuestion("n010", "risky", "SIM-02", caliper_years=4.0, most=5))
    everyone = facts.people(library)
    assert [one.sex for one in found.others] == ["female"] * 5
    assert all(abs(one.age - 50) <= 4 for one in found.others)
    assert "p010" not in {one.subject for one in found.others}
    near = [
        one
        for study, one in everyone.items()
        if one.subject != "p010" and not study.endswith("b") and one.sex == "female" and abs(one.age - 50) <= 4
    ]
    assert found.within == len(near) > 5
    assert found.candidates == PEOPLE - 1
    assert found.standing.lower == int((found.log_hazard_n < found.log_hazard).sum())
    assert found.standing.share_lower.n == 5
    assert (found.event, found.years) == outcomes(library, "SIM-02")["n010"]
    assert [(bool(e), y) for e, y in zip(found.event_n, found.years_n, strict=True)] == [
        outcomes(library, "SIM-02")[one.study] for one in found.others
    ]
    assert found.standing_demographics.lower == found.standing.lower
    second = matched_answer(library.home, MatchQuestion("n010b", "risky", "SIM-02", caliper_years=4.0, most=5))
    assert second.log_hazard == pytest.approx(found.log_hazard + 0.3)
    assert [one.study for one in second.others] == [one.study for one in found.others]


def test_who_cannot_be_matched_is_told_why(own_library: Library) -> None:
    facts.store(own_library, "n001", {"age": ""})
    with pytest.raises(RequestError, match="n001: age or sex is not known"):
        matched_answer(own_library.home, MatchQuestion("n001", "risky", "SIM-01"))
    nobody = matched_answer(own_library.home, MatchQuestion("n002", "risky", "SIM-01", caliper_years=0.5))
    assert (nobody.others, nobody.standing.share_lower.reason) == ((), "nobody to compare with")


def test_two_nights_side_by_side(own_library: Library) -> None:
    stages = np.array([0, 1, 2, 3, 2, 4], np.int8)
    for study, changed in (("n000", stages), ("n000b", stages[::-1])):
        provenance = {"label": "expert", "note": "", "source_sha256": own_library.study(study).sha256}
        own_library.store_scoring(study, Scoring(changed), engine="file", model=f"{study}.csv", provenance=provenance)
    pair = night_pair(own_library.home, "n000b", "n000", "risky")
    assert [night.person.study for night in pair.nights] == ["n000", "n000b"]
    assert pair.same_scorer
    assert pair.known_person
    assert pair.notes == ()
    assert [night.scorer for night in pair.nights] == ["expert", "expert"]
    assert [night.numbers for night in pair.nights] == [{"age": 40.0, "ahi": 10.0}, {"age": 40.0, "ahi": 11.0}]
    change_k = pair.nights[1].result.log_hazard_k - pair.nights[0].result.log_hazard_k
    np.testing.assert_allclose(change_k, 0.3)
    assert night_pair(own_library.home, "n000", "n000b", None).nights[0].result is None
    store_risk(
        own_library, "n000", [9.0, 9.0, 9.0], age=80.0
    )  # what would be if, asked after the score for the age that is stated
    (same, _) = night_pair(own_library.home, "n000", "n000b", "risky").nights
    assert same.result.age == 40
    facts.store(own_library, "n000", {"age": "80"})
    older = night_pair(own_library.home, "n000", "n000b", "risky")
    assert "(80 years female and 40 years female): part of the change is theirs" in " ".join(older.notes)
    facts.store(own_library, "n000", {"age": "60"})
    left_out = night_pair(own_library.home, "n000", "n000b", "risky")
    assert left_out.nights[0].result is None
    assert "n000 was scored by risky for another age or sex" in " ".join(left_out.notes)
    facts.store(own_library, "n000", {"age": "40"})
    store_risk(own_library, "n000", [0.0, 0.0, 0.0], demographics_left_out=True)
    with pytest.raises(ModelError, match="leaves age and sex out"):
        night_pair(own_library.home, "n000", "n000b", "risky")
    with pytest.raises(RequestError, match="two people"):
        night_pair(own_library.home, "n000", "n001", "risky")
    with pytest.raises(RequestError, match="two different nights"):
        night_pair(own_library.home, "n000", "n000", "risky")
    facts.store(own_library, "n001", {"subject": ""})
    assert "Nobody stated" in night_pair(own_library.home, "n000", "n001", None).notes[0]
    store_risk(own_library, "n000b", [0.0, 0.0, 0.0], weights_sha256="c" * 64)
    with pytest.raises(ModelError, match="different weights"):
        night_pair(own_library.home, "n000", "n000b", "risky")


def test_a_whole_subset_is_queued_where_age_and_sex_are_known(own_library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    monkeypatch.setattr(job_risk, "ensure_running", started.append)
    monkeypatch.setenv(ENVIRONMENT, str(Path(__file__).parents[2] / "assets" / "models"))
    facts.store(own_library, "n001", {"age": "", "sex": ""})
    facts.store(own_library, "n002", {"sex": ""})
    subsets.save(own_library, "some", ["n000", "n001", "n002", "n003"])
    asked = queue_risks(own_library, "demo-disease", "some")
    assert asked.queued == ("n000", "n003")
    assert started
    assert asked.left_out["n001"].startswith("age and sex unknown")
    assert asked.left_out["n002"].startswith("sex unknown")
    jobs = own_library.jobs.list(kinds=("risk",))
    assert {job.subject: (job.parameters["age"], job.parameters["sex"]) for job in jobs} == {
        "n000": (40.0, "female"),
        "n003": (43.0, "male"),
    }
    for wrong in ("demo-staging", "demo-demographics"):
        with pytest.raises(RequestError, match="no disease model that looks at a night"):
            queue_risks(own_library, wrong)
    with pytest.raises(RequestError, match="no subset"):
        queue_risks(own_library, "demo-disease", "nobody")

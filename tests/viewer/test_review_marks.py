from __future__ import annotations

from dataclasses import replace

import numpy as np

from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.viewer.review_marks import are_compared, review_marks
from sleepfm.viewer.study_source import NamedScoring


def named(label: str, stages: list[int], certainty: list[float] | None = None) -> NamedScoring:
    probabilities = None
    if certainty is not None:
        probabilities = np.full((len(stages), 5), np.nan, dtype=np.float32)
        for epoch, (stage, p) in enumerate(zip(stages, certainty, strict=True)):
            if stage >= 0:
                probabilities[epoch] = (1 - p) / 4
                probabilities[epoch, stage] = p
    return NamedScoring(label, label, "", Scoring(np.array(stages, dtype=np.int8), probabilities))


def test_two_scorings_mark_where_both_scored_and_differ() -> None:
    marks = review_marks([named("A", [0, 1, 2, -1, 3]), named("B", [0, 2, -1, 4, 4, 0])])
    assert [(mark.epoch, mark.why) for mark in marks] == [(2, "A N1, B N2"), (5, "A N3, B R")]


def test_one_scoring_marks_its_least_certain_epochs_in_order_of_time() -> None:
    certainty = [0.99] * 100
    certainty[80], certainty[20], certainty[50] = 0.3, 0.4, 0.89
    marks = review_marks([named("A", [2] * 100, certainty)])
    assert [mark.epoch for mark in marks] == [21, 51, 81]
    assert marks[0].why == "N2 with only 0.40"


def test_certain_and_unscored_epochs_are_not_marked() -> None:
    assert review_marks([named("A", [2] * 50, [0.95] * 50)]) == []
    assert [mark.epoch for mark in review_marks([named("A", [-1, -1, 4], [0.1, 0.1, 0.5])])] == [3]


def test_nothing_to_go_by_marks_nothing() -> None:
    assert review_marks([]) == review_marks([named("A", [0, 1])]) == review_marks([named("A", [-1], [0.5])]) == []


def test_an_epoch_that_a_person_gave_another_stage_is_decided() -> None:
    proposal = named("A", [2] * 40, [0.99] * 40)
    assert proposal.scoring.probabilities is not None
    proposal.scoring.probabilities[7] = [0.3, 0.1, 0.4, 0.1, 0.1]
    reviewed = replace(proposal, scoring=replace(proposal.scoring, stages=proposal.scoring.stages.copy()), by_person=True)
    assert [mark.epoch for mark in review_marks([reviewed])] == [8]
    reviewed.scoring.stages[7] = 0
    assert review_marks([reviewed]) == []


def test_over_its_own_proposal_a_review_keeps_what_was_least_certain() -> None:
    engine = named("Engine", [2] * 40, [0.99] * 40)
    assert engine.scoring.probabilities is not None
    engine.scoring.probabilities[[7, 20]] = [0.3, 0.1, 0.4, 0.1, 0.1]
    stages = engine.scoring.stages.copy()
    stages[7] = 0  # what a person changed is no difference that nobody knows of; which are looked at, the viewer knows
    mine = replace(engine, label="me", scoring=replace(engine.scoring, stages=stages), by_person=True)
    for shown in ([mine, engine], [mine]):
        assert not are_compared(shown, [2] * 40)
        assert [(mark.epoch, mark.why) for mark in review_marks(shown, [2] * 40)] == [
            (8, "N2 with only 0.40"),
            (21, "N2 with only 0.40"),
        ]
    assert are_compared([mine, engine], [3] * 40)
    assert [(mark.epoch, mark.why) for mark in review_marks([mine, engine], [3] * 40)] == [(8, "me W, Engine N2")]

"""What a score rests on: whatever is shown, the steps add up to the score."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from viewer.made_up_risk import made_up_reference, made_up_result

from sleepfm.inference.risk_result import RiskResult
from sleepfm.viewer.risk_reasons import MEAN_SCORE, Reasons, reasons, reasons_csv, reasons_table
from sleepfm.viewer.risk_waterfall import waterfall
from sleepfm.vocabulary import Modality

REFERENCE = made_up_reference()


@st.composite
def results(draw: st.DrawFn) -> RiskResult:
    """Any set of modalities, age and sex among the players or not, scores of any size."""
    there = draw(st.sets(st.sampled_from(list(Modality)), min_size=1))
    result = made_up_result(modalities=tuple(m for m in Modality if m in there), players=draw(st.booleans()))
    seed, size = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([1e-6, 1.0, 40.0]))
    part_pk = np.random.default_rng(seed).normal(0, size, result.shapley_pk.shape)
    score_k = result.base_k + part_pk.sum(axis=0)
    spread = {"shapley_low_pk": part_pk - size, "shapley_high_pk": part_pk + size, "ablation_pk": part_pk}
    changes = {"log_hazard_k": score_k, "low_k": score_k - 1, "high_k": score_k + 1, "shapley_pk": part_pk, **spread}
    return RiskResult(**{**result.__dict__, **changes})


def seen(words: str) -> float:
    return float(words.replace("−", "-"))


@settings(deadline=None, max_examples=60)
@given(results(), st.booleans(), st.integers(0, 2))
def test_what_stands_in_the_table_adds_up_to_the_score(result: RiskResult, relative: bool, k: int) -> None:
    of = reasons(result, k, REFERENCE if relative else None)
    assert of.start + sum(step.change for step in of.steps) == pytest.approx(result.log_hazard_k[k], abs=1e-5)
    people = REFERENCE.conditions[k]
    assert people is not None
    assert of.start == pytest.approx(people.mean_score if relative else result.base_k[k])
    shown = [seen(words) for words in reasons_table(of)["Change of the score"]]
    assert sum(shown[:-1]) == pytest.approx(shown[-1], abs=1e-4)
    assert shown[-1] == pytest.approx(result.log_hazard_k[k], abs=1e-4)


@settings(deadline=None, max_examples=30)
@given(results(), st.booleans())
def test_each_bar_of_the_waterfall_begins_where_the_one_before_ended(result: RiskResult, relative: bool) -> None:
    of = reasons(result, 0, REFERENCE if relative else None)
    figure = waterfall(of)
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [bar.y[0] for bar in bars] == [step.name for step in of.steps]
    level = of.start
    for bar in bars:
        assert bar.base[0] == pytest.approx(level, abs=1e-9)
        level += bar.x[0]
    marks = {trace.y[0]: trace.x[0] for trace in figure.data if trace.type == "scatter" and trace.mode == "markers"}
    assert marks == {of.start_name: pytest.approx(of.start), of.score_name: pytest.approx(level, abs=1e-9)}
    assert {trace.type for trace in figure.data} == {"bar", "scatter"}
    low, high = figure.layout.xaxis.range
    reach = [bar.base[0] + side for bar in bars for side in (0.0, bar.x[0])]
    assert low <= min(reach) <= max(reach) <= high


def test_the_steps_stand_in_the_order_from_the_start_to_the_score() -> None:
    of = reasons(made_up_result(), 0, REFERENCE)
    names = [of.start_name, *(step.name for step in of.steps), of.score_name]
    assert names == [
        MEAN_SCORE,
        "Age and sex",
        "Brain and eyes (BAS)",
        "Breathing (RESP)",
        "Heart (EKG)",
        "Muscles (EMG)",
        "Score of this night",
    ]
    figure = waterfall(of)
    assert list(figure.layout.yaxis.categoryarray) == names[::-1]  # Plotly begins at the bottom
    assert figure.layout.xaxis.title.text == "score (log hazard)"


def test_age_and_sex_have_steps_of_their_own_when_they_are_players() -> None:
    of = reasons(made_up_result(players=True), 0, REFERENCE)
    assert [step.name for step in of.steps][-2:] == ["Age", "Sex"]
    assert "Age and sex" not in [step.name for step in of.steps]
    people = REFERENCE.conditions[0]
    assert people is not None
    assert of.steps[0].name == "Other starting point"  # the made-up reference is of other people than the game
    result = made_up_result(players=True)
    same = REFERENCE.model_copy(
        update={"conditions": (people.model_copy(update={"mean_base": float(result.base_k[0])}), *REFERENCE.conditions[1:])}
    )
    assert [step.player for step in reasons(result, 0, same).steps] == ["BAS", "RESP", "EKG", "EMG", "age", "sex"]


def test_a_signal_that_the_night_lacks_takes_away_what_the_reference_people_have_from_it() -> None:
    result = made_up_result(modalities=(Modality.BAS, Modality.RESP, Modality.EMG))
    gone = next(step for step in reasons(result, 0, REFERENCE).steps if step.player == Modality.EKG)
    assert gone.name == "Heart (EKG): not there"
    assert gone.change == pytest.approx(-0.11)
    assert gone.left_out is None
    assert [step.player for step in reasons(result, 0, None).steps] == ["BAS", "RESP", "EMG"]


def test_an_interval_moves_with_its_change() -> None:
    result = made_up_result()
    raw, relative = (next(s for s in reasons(result, 0, r).steps if s.player == Modality.BAS) for r in (None, REFERENCE))
    assert raw.low is not None
    assert relative.low is not None
    assert relative.change - relative.low == pytest.approx(raw.change - raw.low)
    assert relative.left_out == raw.left_out  # leaving out is no matter of the reference


def test_a_reference_that_does_not_speak_of_a_condition_is_refused() -> None:
    with pytest.raises(ValueError, match="does not speak of condition 3"):
        reasons(made_up_result(), 3, REFERENCE)


def test_the_file_has_the_full_numbers() -> None:
    result = made_up_result()
    rows = list(csv.DictReader(io.StringIO(reasons_csv(result, 1, REFERENCE))))
    changes = [float(row["change"]) for row in rows]
    assert sum(changes[:-1]) == pytest.approx(changes[-1], abs=1e-12)
    assert changes[-1] == pytest.approx(result.log_hazard_k[1], abs=1e-15)
    assert {row["measured_from"] for row in rows} == {"reference"}
    assert rows[2]["step"] == "Brain and eyes (BAS)"
    assert float(rows[2]["with_minus_without"]) == pytest.approx(result.ablation_pk[0, 1])


def test_words_on_the_screen_are_changes_of_the_score() -> None:
    of: Reasons = reasons(made_up_result(), 0, None)
    figure = waterfall(of)
    hover = " ".join(str(trace.hovertemplate) for trace in figure.data)
    assert "change of the score" in hover
    assert "cause" not in hover

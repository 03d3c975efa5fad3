"""The table of conditions: order, search, and what may not be said."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from viewer.made_up_risk import YEARS, made_up_assessment, made_up_card, made_up_result

from sleepfm.models.card import Condition
from sleepfm.viewer.risk_table import condition_table, found, in_order, result_name, screen_table, years_known
from sleepfm.viewer.risk_words import condition_facts, interval, minus, signed


def test_probabilities_are_those_of_the_cards_baseline_hazard() -> None:
    of = made_up_assessment()
    table = condition_table(of, 5.0)
    assert years_known(of) == YEARS
    assert of.card is not None
    assert of.card.baseline_hazard is not None
    for k in range(4):
        expected = of.card.baseline_hazard.event_free(k, float(of.result.log_hazard_k[k]))
        assert expected is not None
        assert table["event_free"][k] == pytest.approx(expected[YEARS.index(5.0)])
        assert table["event_free_low"][k] < table["event_free"][k] < table["event_free_high"][k]
        base = float(of.result.base_k[k])  # what the made-up model of age and sex alone says
        assert table["event_free_age_and_sex"][k] == pytest.approx(math.exp(-0.05 * (k % 5 + 1) * math.exp(base)))


def test_what_a_model_is_worth_beside_age_and_sex_is_said_of_every_condition() -> None:
    shown = screen_table(condition_table(made_up_assessment(), 5.0))
    assert shown["Beside age and sex"].tolist() == [
        "beats age and sex",
        "does not beat age and sex",
        "too few events",
        "not compared",
    ]
    assert "Free at 5 y, %" in shown.columns
    assert shown["n"].tolist()[:3] == [219, 219, 219]


@pytest.mark.parametrize(
    ("search", "places"),
    [("", [0, 1, 2, 3]), ("HEART", [1]), ("101", [1]), ("sleep 100.1", [0]), ("[hyper", [2]), ("(x)", [2]), ("nothing", [])],
)
def test_search_finds_by_phecode_and_name(search: str, places: list[int]) -> None:
    assert found(condition_table(made_up_assessment(), 5.0), search).index.tolist() == places


def test_the_highest_percentile_stands_first_and_what_has_none_last() -> None:
    table = in_order(condition_table(made_up_assessment(40), 5.0))
    known = table["percentile"].dropna()
    assert known.is_monotonic_decreasing
    assert table["percentile"].isna().tolist() == [False] * len(known) + [True] * (40 - len(known))
    assert sorted(table.index) == list(range(40))


@pytest.mark.parametrize("why", ["no baseline", "no age coding", "gone"])
def test_without_a_baseline_hazard_or_age_coding_there_are_ranks_only(why: str) -> None:
    of = made_up_assessment()
    if why == "no baseline":
        of = replace(of, card=made_up_card(hazard=False))
    elif why == "no age coding":
        of = replace(of, result=made_up_result(demographics_left_out=True), reference=None)
    else:
        of = replace(of, card=None)
    table = condition_table(of, None)
    assert years_known(of) == ()
    assert table[["log_hazard", "event_free"]].isna().all(axis=None)
    assert table["rank"].tolist() == [1, 2, 3, 4]
    assert all(of.ranks_only(k) and of.curve(k) is None for k in range(4))
    shown = screen_table(table)
    assert not {"Log hazard", "95 % interval", "Free at nan y, %"} & set(shown.columns)
    facts = {name for name, _, _ in condition_facts(table.iloc[0].to_dict())}
    assert "Rank in the library" in facts
    assert not {"Log hazard", "No event in 5 years"} & facts


def test_one_condition_without_a_baseline_hazard_leaves_the_others_theirs() -> None:
    of = made_up_assessment()
    assert of.card is not None
    assert of.card.baseline_hazard is not None
    hazard = of.card.baseline_hazard
    part = hazard.model_copy(update={"cumulative": (hazard.cumulative[0], None, *hazard.cumulative[2:])})
    table = condition_table(replace(of, card=of.card.model_copy(update={"baseline_hazard": part})), 5.0)
    assert table["log_hazard"].isna().tolist() == [False, True, False, False]
    assert table["percentile"].notna().tolist() == [True, True, True, False]


def test_the_curve_of_age_and_sex_is_found_by_phecode_not_by_place() -> None:
    of = made_up_assessment()
    assert of.demographics is not None
    turned = of.demographics.model_copy(update={"labels": tuple(reversed(of.demographics.labels))})
    assert of.demographics_curve(0) is not None
    swapped = replace(of, demographics=turned).demographics_curve(0)
    assert swapped is not None
    base = float(of.result.base_k[0])
    assert swapped.at(1.0) == pytest.approx([math.exp(-0.01 * 4 * math.exp(base))] * 3)
    nobody = replace(of, result=made_up_result(demographics_log_hazard_k=np.full(4, np.nan)))
    assert nobody.demographics_curve(0) is None


def test_names_from_files_are_made_harmless() -> None:
    evil = Condition(phecode="1\x1b[31m", phenotype="a\u202eb")
    shown = screen_table(condition_table(replace(made_up_assessment(), result=made_up_result(1, conditions=(evil,))), 5.0))
    assert shown["Phecode"][0] == "1\\x1b[31m"
    assert shown["Condition"][0] == "a\\u202eb"


def test_a_files_name_says_what_was_simulated() -> None:
    assert result_name(made_up_result()) == "night-1_risky"
    simulated = made_up_result(trained_on="simulated", simulated_recording=True)
    assert result_name(simulated) == "night-1_risky_simulated-model_simulated"


def test_facts_stand_beside_those_of_age_and_sex() -> None:
    facts = condition_facts(condition_table(made_up_assessment(), 5.0).iloc[1].to_dict())
    by_name = {name: (night, alone) for name, night, alone in facts}
    assert by_name["Reference people"] == ("n 219, 41 events", "")
    assert by_name["C-index of the model"] == ("0.74 (0.68 to 0.80)", "0.70 (0.63 to 0.76)")
    assert by_name["Beside age and sex"] == ("does not beat age and sex (p = 0.4)", "")


def test_numbers_have_a_real_minus_and_no_minus_zero() -> None:
    assert [minus(number) for number in (-1.236, -0.001, 0.5, math.nan)] == ["−1.24", "0.00", "0.50", "–"]
    assert [signed(number) for number in (-0.066, 0.066, -0.001)] == ["−0.07", "+0.07", "0.00"]
    assert interval(-0.5, 0.25) == "−0.50 to 0.25"
    assert interval(None, 0.25) == "–"


def test_the_rank_of_the_only_night_is_not_shown() -> None:
    alone = condition_table(replace(made_up_assessment(), reference=None, ranked=1), 5.0)
    assert "Rank" not in screen_table(alone).columns
    assert "Rank in the library" not in [name for name, _, _ in condition_facts(alone.iloc[0].to_dict())]
    among = condition_table(replace(made_up_assessment(), reference=None, ranked=7), 5.0)
    assert screen_table(among)["Rank"].tolist() == ["1 of 7", "2 of 7", "3 of 7", "4 of 7"]

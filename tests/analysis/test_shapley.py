"""Exact Shapley values against shap's exact explainer, and by what defines them."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm.analysis.shapley import leave_one_out, members, shapley_values
from tests.exact_shap import exact_shares


@pytest.mark.parametrize("players", [1, 2, 4, 6])
def test_values_are_those_of_shaps_exact_explainer(players: int) -> None:
    value_ck = np.random.default_rng(players).normal(0, 3, (2**players, 5))

    def game(present_np: np.ndarray) -> np.ndarray:
        return value_ck[(present_np > 0) @ (1 << np.arange(players))]

    np.testing.assert_allclose(shapley_values(value_ck), exact_shares(game, players)[0].reshape(players, 5), atol=1e-6)


def games(most: int = 5) -> st.SearchStrategy[np.ndarray]:
    numbers = st.floats(-1e3, 1e3, allow_subnormal=False)
    return st.integers(1, most).flatmap(lambda players: hnp.arrays(np.float64, (2**players, 3), elements=numbers))


@settings(deadline=None, max_examples=60)
@given(games())
def test_shares_add_up_and_depend_on_no_order_of_the_players(value_ck: np.ndarray) -> None:
    shapley_pk = shapley_values(value_ck)
    np.testing.assert_allclose(shapley_pk.sum(axis=0), value_ck[-1] - value_ck[0], atol=1e-9)
    players = len(shapley_pk)
    order = np.random.default_rng(0).permutation(players)
    # player i of the renamed game is player order[i] of this one
    renamed = members(players) @ (1 << order)
    np.testing.assert_allclose(shapley_values(value_ck[renamed]), shapley_pk[order], atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(games(4), st.floats(-100, 100))
def test_a_player_that_changes_nothing_gets_nothing_and_one_that_adds_a_number_gets_it(value_ck: np.ndarray, adds: float) -> None:
    with_dummy_ck = np.concatenate([value_ck, value_ck + adds])
    shapley_pk = shapley_values(with_dummy_ck)
    np.testing.assert_allclose(shapley_pk[-1], adds, atol=1e-9)
    np.testing.assert_allclose(shapley_pk[:-1], shapley_values(value_ck), atol=1e-9)
    np.testing.assert_allclose(leave_one_out(with_dummy_ck)[-1], adds, atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(games(4), games(4))
def test_two_games_played_at_once_give_the_sum_of_their_shares(one_ck: np.ndarray, two_ck: np.ndarray) -> None:
    rows = min(len(one_ck), len(two_ck))
    one_ck, two_ck = one_ck[:rows], two_ck[:rows]
    np.testing.assert_allclose(shapley_values(one_ck + two_ck), shapley_values(one_ck) + shapley_values(two_ck), atol=1e-9)
    both_bck = np.stack([one_ck, two_ck])
    np.testing.assert_allclose(shapley_values(both_bck)[1], shapley_values(two_ck))
    np.testing.assert_allclose(leave_one_out(both_bck)[0], leave_one_out(one_ck))


def test_leaving_one_out_is_the_whole_minus_the_rest() -> None:
    value_ck = np.arange(8.0)[:, None] ** 2
    np.testing.assert_array_equal(leave_one_out(value_ck)[:, 0], [49 - 36, 49 - 25, 49 - 9])


def test_a_game_of_nobody_has_no_shares_and_what_is_no_game_is_refused() -> None:
    assert shapley_values(np.ones((1, 4))).shape == (0, 4)
    for rows in (0, 3, 12):
        with pytest.raises(ValueError, match="2 \\*\\* players"):
            shapley_values(np.ones((rows, 2)))

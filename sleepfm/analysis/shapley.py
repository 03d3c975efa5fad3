"""Exact Shapley values and leave-one-out differences from the values of all coalitions.

A game of n players has 2 ** n coalitions. Coalition c is a row number: bit i of c says whether player i is in it, so row 0 is
nobody and the last row is everybody.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb

import numpy as np

MOST_PLAYERS = 20
"""A million coalitions; beyond it an exact answer needs more memory than it is worth."""


def shapley_values(value_ck: np.ndarray) -> np.ndarray:
    """Return each player's Shapley value (Shapley 1953): its mean contribution over all orders in which players can arrive.

    The values of all players add up to the last coalition's value minus the first one's, a player that changes nothing gets 0,
    and players that change the same get the same.

    Parameters
    ----------
    value_ck
        (…, coalition, output) the value of every coalition, for many outputs at once.

    Returns
    -------
    np.ndarray
        shapley_pk, (…, player, output) float64.

    Raises
    ------
    ValueError
        When the number of coalitions is no power of two, or there are more than `MOST_PLAYERS` players.
    """
    value_ck = np.asarray(value_ck, np.float64)
    shapley_pk: np.ndarray = _weights(players_of(value_ck)) @ value_ck
    return shapley_pk


def leave_one_out(value_ck: np.ndarray) -> np.ndarray:
    """Return (…, player, output) everybody's value minus the value of everybody but that player; shapes and errors as above."""
    value_ck = np.asarray(value_ck, np.float64)
    everybody = value_ck.shape[-2] - 1
    without = [everybody & ~(1 << player) for player in range(players_of(value_ck))]
    missing_pk: np.ndarray = value_ck[..., -1:, :] - value_ck[..., without, :]
    return missing_pk


def players_of(value_ck: np.ndarray) -> int:
    """Return how many players (…, coalition, output) values speak of; errors as above."""
    coalitions = value_ck.shape[-2] if value_ck.ndim > 1 else 0
    players = coalitions.bit_length() - 1
    if coalitions != 1 << max(players, 0) or players > MOST_PLAYERS:
        raise ValueError(f"{coalitions} coalitions: it must be 2 ** players, of at most {MOST_PLAYERS} players")
    return players


def members(players: int) -> np.ndarray:
    """Return (coalition, player) bool: who is in each of the 2 ** players coalitions."""
    return (np.arange(1 << players)[:, None] >> np.arange(players)) & 1 == 1


@lru_cache(maxsize=8)
def _weights(players: int) -> np.ndarray:
    """Return (player, coalition) the share of each coalition's value in a player's Shapley value."""
    in_cp = members(players)
    others_cp = in_cp.sum(axis=1, keepdims=True) - in_cp
    # the chance that exactly these others have come before the player
    chance_s = np.array([1 / (players * comb(players - 1, size)) for size in range(players)])
    return np.where(in_cp, 1.0, -1.0).T * chance_s[others_cp].T if players else np.zeros((0, 1))

"""shap's exact explainer without its compiler: that takes 20 s over what a handful of players need a millisecond for."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np

_COMPILES = numba.config.DISABLE_JIT
numba.config.DISABLE_JIT = True  # looked at when shap's functions are defined
try:
    import shap
finally:
    numba.config.DISABLE_JIT = _COMPILES


def exact_shares(game: Callable[[np.ndarray], np.ndarray], players: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the (player, …) Shapley values and the value without a player, as shap finds them.

    It asks the game, which is given (coalition, player) zeros and ones.
    """
    explained = shap.explainers.Exact(game, shap.maskers.Independent(np.zeros((1, players))))(np.ones((1, players)))
    return np.asarray(explained.values[0]), np.asarray(explained.base_values[0])

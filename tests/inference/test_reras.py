"""RERAs: flattened breaths of ten seconds or more that an arousal ends, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from sleepfm.inference.reras import reras

BREATH_S = 4.0


def breaths(*flattened: tuple[float, float], lasting_s: float = 600.0) -> np.ndarray:
    """Breaths of 4 s, near their peak for 0.31 to 0.37 of the inspiration, and for 0.48 in these stretches."""
    start_n = np.arange(0, lasting_s, BREATH_S)
    flat_n = 0.34 + 0.03 * np.sin(start_n)
    for start_s, stop_s in flattened:
        flat_n[(start_n >= start_s) & (start_n < stop_s)] = 0.48
    return np.column_stack([start_n, np.full(len(start_n), BREATH_S), flat_n])


def test_an_arousal_at_the_end_of_flattened_breaths_makes_one() -> None:
    assert reras(breaths((200, 220)), [221.0], []) == [(200.0, 221.0)]
    assert reras(breaths((200, 220)), [217.0], []) == [(200.0, 217.0)]


@pytest.mark.parametrize(
    ("flattened", "arousal_s", "why"),
    [
        ((), 221.0, "normal breaths, though each is nearer its peak than a triangle"),
        (((200, 208),), 209.0, "shorter than 10 s"),
        (((200, 220),), 232.0, "long over when the arousal comes"),
        (((200, 220),), 199.0, "the arousal comes first"),
        (((0, 600),), 221.0, "no breath of the night is flatter than the others"),
    ],
)
def test_nothing_else_makes_one(flattened: tuple[tuple[float, float], ...], arousal_s: float, why: str) -> None:
    assert reras(breaths(*flattened), [arousal_s], []) == [], why


def test_breaths_of_an_apnea_or_hypopnea_are_not_counted_twice() -> None:
    flattened = breaths((200, 240))
    assert reras(flattened, [241.0], [(204.0, 236.0)]) == []
    assert reras(flattened, [241.0], [(180.0, 216.0)]) == [(216.0, 241.0)]


def test_breaths_with_a_stretch_without_any_between_them_are_no_sequence() -> None:
    apart = breaths((200, 216))
    apart[apart[:, 0] >= 212, 0] += 30
    assert reras(apart, [246.0], []) == []
    apart[apart[:, 0] >= 212, 0] -= 26  # one breath was not found
    assert reras(apart, [220.0], []) == [(200.0, 220.0)]


def test_a_snorer_s_hour_is_no_rera_but_the_last_minute_before_an_arousal() -> None:
    ((start_s, stop_s),) = reras(breaths((100, 400)), [398.0], [])
    assert stop_s == 398.0
    assert 50 <= stop_s - start_s <= 60
    assert len(reras(breaths((100, 400)), [300.0, 302.0, 380.0], [])) == 2


def test_too_few_breaths_tell_nothing() -> None:
    assert reras(breaths(lasting_s=40.0), [30.0], []) == []
    assert reras(np.empty((0, 3)), [30.0], []) == []

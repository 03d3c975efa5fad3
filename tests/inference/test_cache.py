"""Keys change with everything a result depends on, and with nothing else."""

from __future__ import annotations

import pytest

from sleepfm.inference import cache
from sleepfm.vocabulary import Modality

INPUTS = {"source": "ab", "recipe": "published", "channels": {"BAS": ["C3", "C4"]}, "weights": "cd"}


def test_the_same_inputs_in_any_order_give_the_same_key() -> None:
    assert cache.key("embedding", INPUTS) == cache.key("embedding", dict(reversed(INPUTS.items())))
    assert cache.key("embedding", {"channels": {Modality.BAS: ("C3",)}}) == cache.key("embedding", {"channels": {"BAS": ["C3"]}})
    assert len(cache.key("embedding", {})) == 64


@pytest.mark.parametrize(
    "change", [{"source": "ac"}, {"recipe": "hq"}, {"channels": {"BAS": ["C4", "C3"]}}, {"weights": ""}, {"more": None}]
)
def test_any_other_input_gives_another_key(change: dict[str, object]) -> None:
    assert cache.key("embedding", {**INPUTS, **change}) != cache.key("embedding", INPUTS)


def test_another_step_or_version_gives_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache.key("embedding", INPUTS)
    assert cache.key("staging", INPUTS) != before
    monkeypatch.setitem(cache.STEP_VERSIONS, "embedding", 2)
    assert cache.key("embedding", INPUTS) != before
    with pytest.raises(KeyError):
        cache.key("dreaming", INPUTS)

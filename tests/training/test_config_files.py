"""Settings from YAML: what is wrong is said with the nearest that would be right."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sleepfm.errors import RequestError
from sleepfm.training.config_files import as_yaml, differences, problems, read_settings, read_text, shipped_configs
from sleepfm.training.finetune_settings import SETTINGS_OF
from sleepfm.training.settings import PretrainSettings

GOOD = "name: a\ndata: {signals: [x], splits: y.json}\n"


def _read(tmp_path: Path, text: str, *changes: str) -> PretrainSettings:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return read_settings(PretrainSettings, path, changes)


def test_changes_go_on_top_and_the_result_reads_back(tmp_path: Path) -> None:
    settings = _read(tmp_path, GOOD, "training.epochs=3", "data.fraction=0.25", "training.optimiser.kind=sgd")
    assert (settings.training.epochs, settings.data.fraction, settings.training.optimiser.kind) == (3, 0.25, "sgd")
    assert _read(tmp_path, as_yaml(settings)) == settings


@pytest.mark.parametrize(
    ("text", "changes", "words"),
    [
        (GOOD + "trainning: {}\n", (), ("trainning", "did you mean training?")),
        (GOOD, ("training.epoch=3",), ("training.epoch", "did you mean epochs?")),
        (GOOD, ("training.optimiser.learningrate=3",), ("did you mean learning_rate?",)),
        (GOOD, ("encoder.modalities.BAS={kinds: [EEG], most: 2}",), ("encoder.modalities.BAS.most", "max_channels")),
        (GOOD, ("training.epochs=0",), ("training.epochs", "greater than or equal to 1")),
        (GOOD, ("training.epochs=many",), ("training.epochs", "integer")),
        (GOOD, ("objective.kind=triplet",), ("objective.kind", "leave_one_out")),
        (GOOD, ("training.batch_size=1",), ("at least 2 windows",)),
        (GOOD, ("encoder.recipe=best",), ("encoder.recipe", "published")),
        (GOOD, ("name=../x",), ("name",)),
        (GOOD, ("epochs",), ("key=value",)),
        (GOOD, ("name.first=a",), ("holds a value",)),
        (GOOD, ("name=2001-13-45",), ("is not YAML",)),
        (GOOD, ("name=" + "[" * 1200,), ("is not YAML",)),
        ("name: a\n", (), ("data: is missing",)),
        ("- a\n- b\n", (), ("holds no settings",)),
        ("name: [a\n", (), ("not YAML",)),
        ("!!python/object/apply:os.system ['true']\n", (), ("not YAML",)),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, changes: tuple[str, ...], words: tuple[str, ...]) -> None:
    with pytest.raises(RequestError) as caught:
        _read(tmp_path, text, *changes)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_configuration_that_is_not_there_names_those_that_ship() -> None:
    with pytest.raises(RequestError, match="neither a file nor a configuration that ships"):
        read_settings(PretrainSettings, "pretrain/nothing")


@pytest.mark.parametrize("name", [name for name in shipped_configs() if name.startswith("pretrain/")])
def test_shipped_configurations_are_valid(name: str) -> None:
    assert read_settings(PretrainSettings, name).name


@pytest.mark.parametrize("name", [name for name in shipped_configs() if name.startswith("finetune/")])
def test_shipped_configurations_of_heads_are_valid(name: str) -> None:
    assert read_settings(SETTINGS_OF[name.rpartition("-")[2]], name).name


def test_pasted_text_is_read_as_a_file_is() -> None:
    assert read_text(PretrainSettings, GOOD).name == "a"
    with pytest.raises(RequestError, match=r"^pasted: training.epochs: .* greater than or equal to 1$"):
        read_text(PretrainSettings, GOOD + "training: {epochs: 0}\n", where="pasted")


def test_a_rule_about_several_settings_stands_at_the_one_that_it_names() -> None:
    content = {"name": "a", "data": {"signals": ["x"], "splits": "y"}, "encoder": {"window_s": 301}}
    with pytest.raises(ValidationError) as caught:
        PretrainSettings.model_validate(content)
    [(place, words)] = problems(PretrainSettings, caught.value)
    assert place == ("encoder", "window_s")
    assert words == "301 s is not a whole number of tokens of 5 s"


def test_numbers_without_end_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"learning_rate.*finite"):
        _read(tmp_path, GOOD, "training.optimiser.learning_rate=.inf")


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
CONTENTS = st.recursive(
    st.dictionaries(st.sampled_from("abc"), LEAVES, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner | LEAVES, max_size=3),
    max_leaves=6,
)


@given(CONTENTS, CONTENTS)
def test_differences_lead_from_one_configuration_to_the_other(before: dict[str, Any], now: dict[str, Any]) -> None:
    found = differences(before, now)
    assert differences(now, now) == []
    assert all(one.before != one.now or type(one.before) is not type(one.now) for one in found)
    changed = copy.deepcopy(before)
    for one in found:
        place: Any = changed
        for step in one.place[:-1]:
            place = place[step]
        place[one.place[-1]] = one.now
    # a key that is absent and one that holds None say the same in a configuration
    assert differences(changed, now) == []

"""Settings from YAML: what is wrong is said with the nearest that would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from sleepfm.errors import RequestError
from sleepfm.training.config_files import as_yaml, read_settings, shipped_configs
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
        ("name: a\n", (), ("data is missing",)),
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

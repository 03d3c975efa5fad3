"""Forms are drawn from the settings alone: every setting has a shape, a label and help, and what is filled in reads back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from sleepfm.models.card import Task
from sleepfm.models.networks import ARCHITECTURES
from sleepfm.training.config_files import read_settings, shipped_configs
from sleepfm.training.finetune_settings import SETTINGS_OF
from sleepfm.training.settings import EncoderSettings, PretrainSettings
from sleepfm.viewer.form_draft import read_draft
from sleepfm.viewer.form_schema import (
    REMOVE,
    Choice,
    FormField,
    Group,
    Groups,
    Lines,
    Many,
    Numbers,
    OneOf,
    Parts,
    Scalar,
    Switch,
    at,
    complete,
    fields_of,
    label_of,
    number_of,
    put,
    text_of,
    value_of,
)

KINDS: dict[str, type[BaseModel]] = {"pretrain": PretrainSettings, **SETTINGS_OF}


class Sample(BaseModel):
    """One setting of each shape."""

    text: str
    count: int = Field(default=3, ge=1, le=9, title="How many", description="Of them.", json_schema_extra={"unit": "s"})
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    limit: int | None = None
    on: bool = True
    way: Literal["a", "b"] = "a"
    perhaps: Literal["a", "b"] | None = None
    folder: Path | None = None
    files: tuple[Path, ...] = ()
    several: tuple[Literal["a", "b"], ...] = ("a",)
    numbers: dict[str, int | float] = Field(default_factory=dict)
    named: dict[Literal["x", "y"], float] = Field(default_factory=dict)
    weights: tuple[float, float] | Literal["even"] = "even"
    most: dict[Literal["x", "y"], int] | int | None = None


def all_fields(model: type[BaseModel]) -> list[tuple[str, FormField]]:
    found = []
    for one in fields_of(model):
        found.append((f"{model.__name__}.{one.name}", one))
        if isinstance(one.shape, Group | Groups):
            found += all_fields(one.shape.model)
    return found


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_setting_says_what_it_means(kind: type[BaseModel]) -> None:
    fields = all_fields(kind)
    assert len(fields) > 20
    assert [name for name, one in fields if len(one.help) < 10] == []
    assert [name for name, one in fields if len(one.label) > 30] == []


def test_a_type_has_its_shape() -> None:
    shapes = {one.name: one.shape for one in fields_of(Sample)}
    number = Scalar(number=True)
    assert shapes == {
        "text": Scalar(),
        "count": number,
        "share": number,
        "limit": Scalar(number=True, optional=True),
        "on": Switch(),
        "way": Choice(("a", "b")),
        "perhaps": Choice(("a", "b"), optional=True),
        "folder": Scalar(optional=True, path=True),
        "files": Lines(),
        "several": Many(("a", "b")),
        "numbers": Numbers(None),
        "named": Numbers(("x", "y")),
        "weights": OneOf((Parts(2), "even")),
        "most": OneOf((None, Numbers(("x", "y")), number)),
    }


def test_a_label_has_the_unit_and_the_help_the_limits() -> None:
    count, share = (one for one in fields_of(Sample) if one.name in ("count", "share"))
    assert count.label == "How many (s)"
    assert count.help == "Of them. At least 1, at most 9."
    assert (share.label, share.help) == ("Share", "Above 0, below 1.")
    assert label_of(PretrainSettings, ("training", "optimiser", "clip")) == "Training · Optimiser · Gradient limit"
    assert label_of(PretrainSettings, ("encoder", "parameters", "embed_dim")) == "Encoder · Parameters · embed_dim"


def test_a_type_that_no_form_can_show_is_refused() -> None:
    class Strange(BaseModel):
        when: dict[str, list[str]]

    with pytest.raises(TypeError, match="no form can show"):
        fields_of(Strange)


def test_the_encoders_offered_are_those_that_can_be_built() -> None:
    shape = next(one.shape for one in fields_of(EncoderSettings) if one.name == "architecture")
    assert isinstance(shape, Choice)
    assert set(shape.options) == {name for name, made in ARCHITECTURES.items() if made.task is Task.ENCODER}


@pytest.mark.parametrize("name", [name for name in shipped_configs() if name.split("/")[0] in ("pretrain", "finetune")])
def test_a_completed_configuration_is_the_configuration(name: str) -> None:
    kind = PretrainSettings if name.startswith("pretrain") else SETTINGS_OF[name.rpartition("-")[2]]
    settings = read_settings(kind, name)
    given = settings.model_dump(mode="json", exclude_unset=True)
    assert complete(kind, given) == settings.model_dump(mode="json")
    assert read_draft(kind, complete(kind, given)) == (settings, {})


def test_what_has_no_default_stays_out_and_is_missing() -> None:
    content = complete(PretrainSettings, {})
    assert "name" not in content
    assert "signals" not in content["data"]
    settings, wrong = read_draft(PretrainSettings, content)
    assert settings is None
    assert wrong == dict.fromkeys([("name",), ("data", "signals"), ("data", "splits")], "is missing")


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**17), 10**17))
def test_a_number_reads_back_as_it_is_shown(number: float) -> None:
    read = number_of(text_of(number))
    assert read == number
    assert type(read) in (int, float)


@pytest.mark.parametrize("text", ["many", "1_000", "٣", "0x10", "1,5", "--1"])
def test_what_is_no_number_stays_as_it_was_written(text: str) -> None:
    assert number_of(text) == text
    assert value_of(f" {text} ", Scalar(number=True)) == text


def test_an_empty_field_is_nothing_where_that_may_be() -> None:
    assert value_of("  ", Scalar(number=True, optional=True)) is None
    assert value_of("", Scalar(number=True)) == ""
    assert value_of(" /data ", Scalar(path=True)) == "/data"


def test_a_place_is_written_and_taken_away() -> None:
    content: dict[str, Any] = {"a": 1}
    put(content, ("a", "b"), 2)
    assert at(content, ("a", "b")) == 2
    put(content, ("a", "b"), REMOVE)
    assert content == {"a": {}}
    assert at(content, ("x", "y")) is None

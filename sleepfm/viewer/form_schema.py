"""What a form shows for a setting, read from its pydantic field: a shape, a label with the unit, and help with the limits."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

Content = dict[str, Any]
"""Settings in their JSON form, as a form is filled in: what does not fit yet may stand there."""


@dataclass(frozen=True)
class Scalar:
    """One line of text that a string, a number or a path is read from; an optional one may be empty."""

    number: bool = False
    optional: bool = False
    path: bool = False


@dataclass(frozen=True)
class Switch:
    """Yes or no."""


@dataclass(frozen=True)
class Choice:
    """One of some words; an optional one may be empty."""

    options: tuple[str, ...]
    optional: bool = False


@dataclass(frozen=True)
class Many:
    """Several of some words, in an order."""

    options: tuple[str, ...]


@dataclass(frozen=True)
class Lines:
    """Texts or paths, one a line."""


@dataclass(frozen=True)
class Numbers:
    """Numbers by name; of fixed names, or of whatever names there are."""

    names: tuple[str, ...] | None


@dataclass(frozen=True)
class Parts:
    """A fixed count of numbers."""

    count: int


@dataclass(frozen=True)
class Group:
    """Settings of their own."""

    model: type[BaseModel]


@dataclass(frozen=True)
class Groups:
    """The same settings for each of some names; each name may be left out."""

    names: tuple[str, ...]
    model: type[BaseModel]


@dataclass(frozen=True)
class OneOf:
    """One of several shapes; a word or None stands for itself."""

    alternatives: tuple[Shape | str | None, ...]


Shape = Scalar | Switch | Choice | Many | Lines | Numbers | Parts | Group | Groups | OneOf


@dataclass(frozen=True)
class FormField:
    """One setting of a form.

    Attributes
    ----------
    name
        Its key.
    label
        Short, with the unit: "Window (s)".
    help
        What it means and its limits; of a group what it is about.
    parts
        Names of the numbers of `Parts`.
    made
        A path that need not be there: the run makes it.
    """

    name: str
    label: str
    help: str
    shape: Shape
    parts: tuple[str, ...] = ()
    made: bool = False


@cache
def fields_of(model: type[BaseModel]) -> tuple[FormField, ...]:
    """Return the settings of a model, in their order.

    Raises
    ------
    TypeError
        A setting is of a type that no form can show: a defect of ours.
    """
    return tuple(_field(name, field) for name, field in model.model_fields.items())


def _field(name: str, field: FieldInfo) -> FormField:
    extra = cast(Mapping[str, Any], field.json_schema_extra or {})
    label = field.title or name.replace("_", " ").capitalize()
    unit = f" ({extra['unit']})" if "unit" in extra else ""
    shape = Choice(tuple(extra["choices"])) if "choices" in extra else _shape(field.annotation)
    said = " ".join(part for part in (field.description or "", limits_words(field.metadata)) if part)
    return FormField(name, label + unit, said, shape, tuple(extra.get("parts", ())), bool(extra.get("made")))


def limits_words(metadata: list[Any]) -> str:
    """Return the limits of a number as a sentence: "Above 0, at most 1."; empty where there are none."""
    words = []
    for limit in metadata:
        match limit:
            case annotated_types.Ge(least):
                words.append(f"at least {least:g}")
            case annotated_types.Gt(above):
                words.append(f"above {above:g}")
            case annotated_types.Le(most):
                words.append(f"at most {most:g}")
            case annotated_types.Lt(below):
                words.append(f"below {below:g}")
    said = ", ".join(words)
    return f"{said[:1].upper()}{said[1:]}." if said else ""


def _shape(annotation: Any) -> Shape:  # noqa: PLR0911 - one line a type
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _shape(inner[0])
    if origin in (typing.Union, types.UnionType):
        return _union(inner)
    if origin is Literal:
        return Choice(inner)
    if origin is tuple:
        return _tuple(inner)
    if origin is dict:
        return _dict(*inner)
    if isinstance(annotation, type):
        if issubclass(annotation, BaseModel):
            return Group(annotation)
        if issubclass(annotation, bool):
            return Switch()
        if issubclass(annotation, int | float):
            return Scalar(number=True)
        if issubclass(annotation, Path):
            return Scalar(path=True)
        if issubclass(annotation, Enum):
            return Choice(_names(annotation))
        if issubclass(annotation, str):
            return Scalar()
    raise TypeError(f"no form can show {annotation}")


def _union(inner: tuple[Any, ...]) -> Shape:
    without = [one for one in inner if one is not types.NoneType]
    shapes = [_shape(one) for one in without]
    optional = len(without) < len(inner)
    if all(isinstance(one, Scalar) and one.number for one in shapes):
        return Scalar(number=True, optional=optional)
    if len(shapes) == 1 and isinstance(shapes[0], Scalar):
        return Scalar(shapes[0].number, optional=optional, path=shapes[0].path)
    if len(shapes) == 1 and isinstance(shapes[0], Choice):
        return Choice(shapes[0].options, optional=optional)
    alternatives: list[Shape | str | None] = [None] if optional else []
    for one in shapes:
        alternatives += one.options if isinstance(one, Choice) else [one]
    return OneOf(tuple(alternatives))


def _tuple(inner: tuple[Any, ...]) -> Shape:
    if len(inner) == 2 and inner[1] is ...:
        one = _shape(inner[0])
        if isinstance(one, Choice):
            return Many(one.options)
        if isinstance(one, Scalar) and not one.number:
            return Lines()
    elif all(isinstance(one, Scalar) and one.number for one in map(_shape, inner)):
        return Parts(len(inner))
    raise TypeError(f"no form can show a tuple of {inner}")


def _dict(key: Any, value: Any) -> Shape:
    names = None if key is str else _names(key)
    shape = _shape(value)
    if isinstance(shape, Group) and names is not None:
        return Groups(names, shape.model)
    if isinstance(shape, Scalar) and shape.number:
        return Numbers(names)
    raise TypeError(f"no form can show a table of {value} by {key}")


def _names(kind: Any) -> tuple[str, ...]:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(str(one.value) for one in kind)
    return tuple(typing.get_args(kind))


def label_of(model: type[BaseModel], place: tuple[str, ...]) -> str:
    """Return the words that a form has for a place: "Training · Optimiser · Learning rate"; a place that is no field as it is.

    Examples
    --------
    >>> from sleepfm.training.settings import PretrainSettings
    >>> label_of(PretrainSettings, ("encoder", "modalities", "BAS", "max_channels"))
    'Encoder · Modalities · BAS · Most channels'
    """
    words, known = [], {one.name: one for one in fields_of(model)}
    for step in place:
        one = known.get(step)
        words.append(step if one is None else one.label)
        if one is not None and isinstance(one.shape, Group | Groups):
            known = {inner.name: inner for inner in fields_of(one.shape.model)}
    return " · ".join(words)


# what is written into a field


def text_of(value: Any) -> str:
    """Return a value as a line of text; nothing for None.

    Examples
    --------
    >>> text_of(0.0005), text_of(1e-05), text_of(300.0), text_of(None)
    ('0.0005', '1e-05', '300', '')
    """
    if value is None:
        return ""
    if isinstance(value, float) and not isinstance(value, bool):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def value_of(text: str, shape: Scalar) -> str | int | float | None:
    """Return what was written: a number where it is one, the text itself where it is none, None for an empty optional."""
    text = text.strip()
    if not text:
        return None if shape.optional else ""
    return number_of(text) if shape.number else text


def number_of(text: str) -> int | float | str:
    """Return the number that a text is, as JSON would write it, or the text."""
    plain = text.strip()
    if not plain.isascii() or "_" in plain:
        return text
    for kind in (int, float):
        try:
            return kind(plain)
        except ValueError:
            continue
    return text


def complete(model: type[BaseModel], content: Mapping[str, Any]) -> Content:
    """Return settings with every default that pydantic would fill in, so that each field of a form has its value.

    A group that is given has the defaults of its own kind, as when it is read; what has no default stays out.
    """
    filled: Content = {}
    for name, field in model.model_fields.items():
        shape = _field(name, field).shape
        if name in content:
            value = content[name]
            if isinstance(shape, Group) and isinstance(value, Mapping):
                value = complete(shape.model, value)
            elif isinstance(shape, Groups) and isinstance(value, Mapping):
                value = {key: complete(shape.model, one) if isinstance(one, Mapping) else one for key, one in value.items()}
            filled[name] = value
        elif not field.is_required():
            filled[name] = _json(field.get_default(call_default_factory=True))
        elif isinstance(shape, Group):
            filled[name] = complete(shape.model, {})
    return filled


def _json(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): _json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_json(one) for one in value]
    if isinstance(value, Path):
        return str(value)
    return value.value if isinstance(value, Enum) else value


def at(content: Mapping[str, Any], place: tuple[str, ...]) -> Any:
    """Return what stands at a place, None where nothing does."""
    value: Any = content
    for step in place:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def put(content: Content, place: tuple[str, ...], value: Any) -> None:
    """Write a value at a place, with the groups above it; the word `REMOVE` takes it away."""
    *groups, last = place
    for step in groups:
        inner = content.get(step)
        if not isinstance(inner, dict):
            inner = content[step] = {}
        content = inner
    if value is REMOVE:
        content.pop(last, None)
    else:
        content[last] = value


REMOVE = object()
"""What `put` takes a setting away for."""

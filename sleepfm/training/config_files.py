"""Reading a run's settings: a YAML file (or the name of one that ships), then `--set key=value` on top."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from sleepfm.errors import RequestError
from sleepfm.text import printable

Model = TypeVar("Model", bound=BaseModel)
_MOST_BYTES = 1_000_000


def shipped_configs() -> dict[str, Path]:
    """Return the configurations that ship with the package, by name (`pretrain/tiny`)."""
    folder = Path(str(resources.files("sleepfm") / "configs"))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.yaml"))}


def read_settings(kind: type[Model], config: str | Path, changes: Sequence[str] = ()) -> Model:
    """Read settings.

    Parameters
    ----------
    kind
        The pydantic model that they must fit.
    config
        A YAML file, or the name of a shipped one.
    changes
        `key=value` each, the key dotted (`training.epochs=3`), the value YAML.

    Raises
    ------
    RequestError
        There is no such file, it is no YAML, or a key or value does not fit: which one, and the nearest that would.
    """
    path = _find(config)
    content = _parse(path)
    for change in changes:
        _apply(content, change)
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise RequestError(f"{path}: {explain(kind, error)}") from None


def read_text(kind: type[Model], text: str, *, where: str = "the text") -> Model:
    """Read settings from YAML that somebody pasted; errors as for `read_settings`, beginning with `where`."""
    if len(text.encode("utf-8", "replace")) > _MOST_BYTES:
        raise RequestError(f"{where}: larger than a configuration can be")
    try:
        return kind.model_validate(_parse_text(text, where))
    except ValidationError as error:
        raise RequestError(f"{where}: {explain(kind, error)}") from None


def explain(kind: type[BaseModel], error: ValidationError) -> str:
    """Return a validation error as one line: where, what, and for an unknown key the nearest known one."""
    lines = [f"{printable('.'.join(place)) or 'the settings'}: {words}" for place, words in problems(kind, error)]
    more = f"; and {len(lines) - 3} more" if len(lines) > 3 else ""
    return "; ".join(lines[:3]) + more


MISSING = "is missing"
_WHOLE, _NUMBER = "should be a whole number (integer)", "should be a number"
_PLAIN_WORDS = {
    "int_parsing": _WHOLE,
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
}
"""By pydantic's names, where its own words say how it failed to read something."""


def problems(kind: type[BaseModel], error: ValidationError) -> list[tuple[tuple[str, ...], str]]:
    """Return each thing that does not fit: the place of the setting (`("training", "epochs")`), and what is wrong there.

    A rule about several settings names the one it is about before a colon; it then stands at that one.
    """
    found = []
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        place = tuple(str(step) for step in one["loc"])
        if one["type"] == "extra_forbidden":
            known = _keys(kind, one["loc"][:-1])
            nearest = difflib.get_close_matches(place[-1], known, n=1, cutoff=0.5)
            hint = f"did you mean {nearest[0]}?" if nearest else f"known here: {', '.join(known)}"
            found.append((place, f"unknown key ({hint})"))
        elif one["type"] == "missing":
            found.append((place, MISSING))
        else:
            words = _PLAIN_WORDS.get(one["type"]) or printable(one["msg"]).removeprefix("Value error, ").removeprefix("Input ")
            about, colon, rest = words.partition(": ")
            steps = tuple(about.split("."))
            if colon and steps[-1] in _keys(kind, (*place, *steps[:-1])):
                place, words = (*place, *steps), rest
            found.append((place, words))
    return found


@dataclass(frozen=True)
class Difference:
    """One setting that two configurations have differently; what is not there is None, as a group that only one has."""

    place: tuple[str, ...]
    before: Any
    now: Any


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Return the settings that differ between two configurations in their JSON form, in the order of the latter."""
    found: list[Difference] = []
    for key in (*now, *(key for key in before if key not in now)):
        one, other = before.get(key), now.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += [Difference((key, *inner.place), inner.before, inner.now) for inner in differences(one, other)]
        elif one != other:
            found.append(Difference((key,), one, other))
    return found


def _find(config: str | Path) -> Path:
    path = Path(config)
    if path.is_file():
        return path
    shipped = shipped_configs()
    if str(config) in shipped:
        return shipped[str(config)]
    nearest = difflib.get_close_matches(str(config), shipped, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]}?" if nearest else f"shipped are: {', '.join(shipped)}"
    raise RequestError(f"{printable(str(config))}: neither a file nor a configuration that ships ({hint})")


def _parse(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise RequestError(f"{path}: larger than a configuration can be")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RequestError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise RequestError(f"{path}: not a text file in UTF-8") from None
    return _parse_text(text, str(path))


def _parse_text(text: str, where: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise RequestError(f"{where}: not YAML ({printable(' '.join(str(error).split()))})") from None
    if not isinstance(content, dict):
        raise RequestError(f"{where}: holds no settings (`key: value` lines)")
    return content


def _apply(content: dict[str, Any], change: str) -> None:
    key, sign, text = change.partition("=")
    if not sign or not key.strip():
        raise RequestError(f"--set {printable(change)}: write it as key=value, for example training.epochs=3")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        raise RequestError(f"--set {printable(change)}: the value is not YAML") from None
    *groups, last = key.strip().split(".")
    place: Any = content
    for group in groups:
        if not isinstance(place.setdefault(group, {}), dict):
            raise RequestError(f"--set {printable(change)}: {printable(group)} holds a value, not further keys")
        place = place[group]
    place[last] = value


def _keys(kind: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Return the keys that the model at this place knows."""
    models: list[type[BaseModel]] = [kind]
    for step in loc:
        inner: list[type[BaseModel]] = []
        for model in models:
            field = model.model_fields.get(str(step))
            inner += _models_in(field.annotation) if field is not None else []
        models = inner or models  # a key of a dict or list: the models within it stay the candidates
    return sorted({name for model in models for name in model.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in typing.get_args(annotation) for model in _models_in(inner)]


def as_yaml(settings: BaseModel | Mapping[str, Any]) -> str:
    """Return settings as YAML that `read_settings` reads back."""
    content = settings.model_dump(mode="json") if isinstance(settings, BaseModel) else dict(settings)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)

"""Which paths the settings of a run name. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

_MODELS = ("encoder", "start_from")


def named_paths(settings: BaseModel) -> list[Path]:
    """Return every path that settings name, in the order of their fields; a model that is named by its folder is one too."""
    models = [str(getattr(settings, name)) for name in _MODELS if isinstance(getattr(settings, name, None), str)]
    return [*_paths(settings), *(Path(name) for name in models if "/" in name or "\\" in name)]


def _paths(value: object) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _paths(getattr(value, name))
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from _paths(inner)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _paths(inner)

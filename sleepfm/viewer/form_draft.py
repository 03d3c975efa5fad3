"""A form as it is filled in: kept between runs of the page and over a visit to another page, until it is started anew."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from sleepfm.training.config_files import problems
from sleepfm.viewer.form_schema import Content, complete, put

Place = tuple[str, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass
class Draft:
    """One form.

    Attributes
    ----------
    page
        Whose form it is; widgets' keys begin with it.
    kind
        The settings.
    content
        What stands in the fields, in the settings' JSON form.
    preset
        The name of the preset that was chosen last, and the settings that it stands for.
    generation
        Counts the times that the fields were filled by something else than their user: their widgets are made anew then.
    parent
        The run that this one is a changed copy of.
    begun
        What each widget began with when it was made, by its key.
    """

    page: str
    kind: type[BaseModel]
    content: Content = field(default_factory=dict)
    preset: str = ""
    preset_content: Content = field(default_factory=dict)
    generation: int = 0
    parent: str | None = None
    begun: dict[str, Any] = field(default_factory=dict)

    def fill(self, content: Mapping[str, Any]) -> None:
        """Fill every field anew."""
        self.content = complete(self.kind, copy.deepcopy(dict(content)))
        self.generation += 1

    def set(self, place: Place, value: Any) -> None:
        """Write one setting as its user does; the fields stay as they are."""
        put(self.content, place, value)

    def change(self, changes: Mapping[Place, Any]) -> None:
        """Write some settings from elsewhere than their own fields."""
        for place, value in changes.items():
            put(self.content, place, value)
        self.generation += 1

    def key(self, place: Place) -> str:
        """Return the key of a setting's widget."""
        return f"{self.page} {self.generation} {'.'.join(place)}"

    def beside(self, name: str) -> str:
        """Return the key of something else on the page than a setting."""
        return f"{self.page} {name}"


def read_draft(kind: type[Model], content: Content) -> tuple[Model | None, dict[Place, str]]:
    """Return the settings that a form holds, or None, and what is wrong at which place."""
    try:
        return kind.model_validate(content), {}
    except ValidationError as error:
        found: dict[Place, str] = {}
        for place, words in problems(kind, error):
            found.setdefault(place, words)
        return None, found

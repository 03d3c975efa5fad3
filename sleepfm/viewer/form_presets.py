"""Configurations that ship, as the forms offer them, and a first name for what comes out."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Collection
from dataclasses import dataclass

from pydantic import BaseModel

from sleepfm.administration.app_settings import AppSettings
from sleepfm.training.config_files import read_settings
from sleepfm.training.finetune_settings import FinetuneSettings
from sleepfm.viewer.form_draft import Draft


@dataclass(frozen=True)
class Preset:
    """One configuration that ships.

    Attributes
    ----------
    name
        As `sleepfm pretrain` and `sleepfm finetune` take it.
    words
        What it is for.
    """

    name: str
    title: str
    words: str


PRETRAIN = (
    Preset("pretrain/smoke", "Smoke test", "Seconds on a laptop: shows that everything is in place, learns next to nothing."),
    Preset("pretrain/clinical", "Published", "The clinical model of 2026 as its code trains it: hours on a GPU."),
    Preset(
        "pretrain/label-efficient", "Label-efficient", "Some hundred nights, few of them scored: a smaller network, much hidden."
    ),
    Preset("pretrain/clinical-robust", "Any montage", "The clinical network with modalities and channels hidden at random."),
    Preset("pretrain/icml2024", "Published 2024", "The first system: 30-s clips, one convolutional network a modality."),
    Preset("pretrain/tiny", "Tiny", "Two minutes on two cores: the whole way, with a small network."),
)
_SMOKE = "Seconds on a laptop once the nights are embedded: shows that everything is in place."
_FEW = "Few labelled nights: hides much, stops when validation no longer falls. Ours, from no paper."
PRESETS: dict[str, tuple[Preset, ...]] = {
    "pretrain": PRETRAIN,
    "staging": (
        Preset("finetune/smoke-staging", "Smoke test", _SMOKE),
        Preset("finetune/published-staging", "Published", "The staging head as the published code trains it: 20 epochs."),
        Preset("finetune/label-efficient-staging", "Label-efficient", _FEW),
        Preset("finetune/tiny-staging", "Tiny", "A minute on two cores, on top of a tiny encoder."),
    ),
    "breathing": (
        Preset("finetune/smoke-breathing", "Smoke test", _SMOKE),
        Preset("finetune/label-efficient-breathing", "Label-efficient", _FEW),
    ),
    "disease": (
        Preset("finetune/smoke-disease", "Smoke test", _SMOKE),
        Preset("finetune/published-disease", "Published", "The disease head as the published code trains it: 40 epochs."),
        Preset("finetune/label-efficient-disease", "Label-efficient", _FEW),
    ),
}
"""By the word of what is trained."""

_GIVEN = ("data", "embeddings", "scorings", "events", "is_event", "time_to_event", "demographics", "labels", "start_from")


def given_names(kind: type[BaseModel]) -> list[str]:
    """Return the settings that belong to this installation's data and models, and to no preset."""
    chosen = ("encoder", *_GIVEN) if issubclass(kind, FinetuneSettings) else _GIVEN
    return [name for name in kind.model_fields if name in chosen]


def apply_preset(draft: Draft, preset: Preset, taken: Collection[str], machine: AppSettings) -> None:
    """Fill a form from a preset; the data and models that were chosen stay, and a name that somebody gave.

    Where the installation says on which device and in what precision to compute, that stands in the preset's place.
    """
    given = given_names(draft.kind)
    content = read_settings(draft.kind, preset.name).model_dump(mode="json")
    content = {name: value for name, value in content.items() if name not in given}
    name = draft.content.get("name")
    suggested = not name or name == draft.preset_content.get("name")
    content |= {name: draft.content[name] for name in given if name in draft.content}
    if machine.device != "auto":
        content["training"]["device"] = machine.device
    if machine.precision != "fp32":
        content["training"]["precision"] = machine.precision
    content["name"] = free_name(content["name"], taken) if suggested else name
    draft.fill(content)
    draft.preset, draft.preset_content = preset.title, copy.deepcopy(draft.content)


def free_name(wanted: str, taken: Collection[str]) -> str:
    """Return a name that is not taken: the one that is wanted, else with the first number behind it that is free."""
    if wanted not in taken:
        return wanted
    name = _NUMBERED.sub("", wanted)
    return next(f"{name}-{number}" for number in itertools.count(2) if f"{name}-{number}" not in taken)


_NUMBERED = re.compile(r"-\d{1,2}$")
"""What this function put behind a name before; a year is none."""

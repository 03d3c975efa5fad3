"""Whom a model was trained on, as its run's folder tells: people that it must not be tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sleepfm.errors import ModelError, SleepFMError
from sleepfm.models.card import CARD_FILE, ModelCard, read_card
from sleepfm.models.shelf import Shelf
from sleepfm.text import printable
from sleepfm.training.run_folder import CONFIG_FILE
from sleepfm.training.splits import read_splits, read_subjects, share_of_subjects

_MOST_STEPS = 20


@dataclass(frozen=True)
class TrainedOn:
    """The studies that a model was trained on and their subjects; or, with `why`, that nobody knows them."""

    studies: frozenset[str] = frozenset()
    subject_of: tuple[tuple[str, str], ...] = ()
    why: str = ""

    @property
    def known(self) -> bool:
        """Whether the studies are known."""
        return not self.why


def trained_on(card: ModelCard, runs: Path, given: Sequence[Path], shelf: Shelf) -> TrainedOn:
    """Find whom a model was trained on.

    The run is the one whose folder holds a model of the same weights. An encoder that started from another one has seen that
    one's people too.

    Parameters
    ----------
    card
        The model's.
    runs
        Folder of runs.
    given
        Folders of runs that lie elsewhere.
    shelf
        Where the encoder that it started from is.
    """
    studies: set[str] = set()
    subject_of: dict[str, str] = {}
    for _ in range(_MOST_STEPS):
        folder = _run_of(card, runs, given)
        if folder is None:
            return TrainedOn(why=f"no run that made {card.name} is in {runs} (trained_in names others)")
        try:
            settings = _settings(folder)
            data = settings["data"]
            subjects = read_subjects(Path(data["cohort"]) if data.get("cohort") else None)
            splits = read_splits(Path(data["splits"]), subjects)
            seed = settings.get("training", {}).get("seed", 0)
            studies.update(share_of_subjects(splits.of(data["lists"]), subjects, data.get("fraction", 1.0), seed))
            subject_of |= subjects
            start = settings.get("start_from")
            if start is None:
                return TrainedOn(frozenset(studies), tuple(sorted(subject_of.items())))
            card = read_card(Path(start)) if (Path(start) / CARD_FILE).is_file() else shelf.get(start).card
        except (KeyError, TypeError, AttributeError):
            return TrainedOn(why=f"{folder / CONFIG_FILE} does not say what {card.name} was trained on")
        except SleepFMError as error:
            return TrainedOn(why=f"the run of {card.name} cannot be read: {error}")
    return TrainedOn(why=f"{card.name}: its runs start from each other in a circle")


def _run_of(card: ModelCard, runs: Path, given: Sequence[Path]) -> Path | None:
    own = runs / card.name
    folders = [*given, own, *(sorted(path for path in runs.iterdir() if path != own) if runs.is_dir() else [])]
    for folder in folders:
        if not (folder / "model" / CARD_FILE).is_file() or not (folder / CONFIG_FILE).is_file():
            continue
        try:
            made = read_card(folder / "model")
        except ModelError:
            continue  # a card that cannot be read belongs to no model that we know
        if made.weights_sha256 == card.weights_sha256:
            return folder
    return None


def _settings(folder: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise SleepFMError(f"{folder / CONFIG_FILE}: cannot be read ({printable(' '.join(str(error).split()))})") from None
    if not isinstance(content, dict):
        raise SleepFMError(f"{folder / CONFIG_FILE}: holds no settings")
    return content

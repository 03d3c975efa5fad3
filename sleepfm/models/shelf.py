"""The model shelf: one folder a model with its card and weights. Listing it loads no torch."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

import sleepfm
from sleepfm.errors import ModelError, RequestError
from sleepfm.models.card import CARD_FILE, README_FILE, SIMULATED, WEIGHTS_FILE, ModelCard, Task, check_name, now, read_card
from sleepfm.models.readme import readme
from sleepfm.text import printable

if TYPE_CHECKING:
    from torch import Tensor

_DEFAULTS_FILE = "defaults.json"


@dataclass(frozen=True)
class ShelfEntry:
    """A model on the shelf."""

    folder: Path
    card: ModelCard

    @property
    def name(self) -> str:
        """The model's name, which is its folder's."""
        return self.folder.name


class Shelf:
    """The models in one folder (`SLEEPFM_HOME/models`), which need not exist yet."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def entries(self) -> list[ShelfEntry]:
        """Return every readable model, by name."""
        return self._scan()[0]

    def problems(self) -> list[str]:
        """Return a sentence for every folder on the shelf that is no readable model."""
        return self._scan()[1]

    def _scan(self) -> tuple[list[ShelfEntry], list[str]]:
        entries, problems = [], []
        folders = sorted(self.root.iterdir()) if self.root.is_dir() else []
        for folder in folders:
            if folder.name.startswith(".") or not folder.is_dir():
                continue
            try:
                entries.append(ShelfEntry(folder, read_card(folder)))
            except ModelError as error:
                problems.append(str(error))
        return entries, problems

    def get(self, name: str) -> ShelfEntry:
        """Return a model by name; RequestError when there is none, ModelError when its card cannot be read."""
        folder = self.root / check_name(name)
        if not folder.is_dir():
            there = ", ".join(entry.name for entry in self.entries()) or "none"
            raise RequestError(f"no model named {printable(name)!r} on the shelf {self.root} (there: {there})")
        return ShelfEntry(folder, read_card(folder))

    def default(self, task: Task) -> ShelfEntry | None:
        """Return the task's model when nobody names one: the chosen one, else the newest real one, else the newest."""
        entries = [entry for entry in self.entries() if entry.card.task is task]
        chosen = self._chosen().get(task)
        for entry in entries:
            if entry.name == chosen:
                return entry
        return max(entries, key=lambda entry: (entry.card.real, entry.card.imported_at), default=None)

    def choose(self, name: str) -> None:
        """Make a model the default of its task."""
        entry = self.get(name)
        chosen = self._chosen() | {entry.card.task.value: name}
        temporary = self.root / f".{_DEFAULTS_FILE}.{uuid.uuid4().hex}.tmp"
        try:
            temporary.write_text(json.dumps(chosen, indent=1), encoding="utf-8")
            temporary.replace(self.root / _DEFAULTS_FILE)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise ModelError(f"{self.root}: cannot be written ({error.strerror}); free disk space") from None

    def _chosen(self) -> dict[str, str]:
        path = self.root / _DEFAULTS_FILE
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            raise ModelError(f"{path}: cannot be read; delete it to forget the chosen default models") from None
        return {str(task): str(name) for task, name in found.items()} if isinstance(found, dict) else {}

    def pick(self, task: Task) -> ShelfEntry | None:
        """Return what `auto` takes: the default if it was trained on real recordings, else the newest such model, else None."""
        default = self.default(task)
        if default is not None and default.card.real:
            return default
        real = [entry for entry in self.entries() if entry.card.task is task and entry.card.real]
        return max(real, key=lambda entry: entry.card.imported_at, default=None)

    def encoder_of(self, head: ModelCard) -> ShelfEntry:
        """Return the encoder that a head belongs to, by the hash of its weights.

        Raises
        ------
        ModelError
            When that encoder is not on the shelf.
        """
        if head.encoder is None:
            raise ModelError(f"{head.name} is an encoder, not a head")
        for entry in self.entries():
            if entry.card.task is Task.ENCODER and entry.card.weights_sha256 == head.encoder.weights_sha256:
                return entry
        raise ModelError(
            f"{head.name} was made for the encoder {head.encoder.name} ({head.encoder.weights_sha256[:12]}…), which is not on the"
            " shelf: import that encoder"
        )

    def encoder_for(self, embed_dim: int, name: str | None = None) -> ShelfEntry:
        """Return the encoder that a head being imported is tied to.

        Parameters
        ----------
        embed_dim
            Length of the embeddings that the head takes.
        name
            The encoder's name; None for the latest imported one of that length, never one trained on simulated data.

        Raises
        ------
        RequestError
            When there is none, or the named one does not fit.
        """
        if name is not None:
            entry = self.get(name)
            if entry.card.task is not Task.ENCODER:
                raise RequestError(f"{name} is a {entry.card.task} head, not an encoder")
            if entry.card.embed_dim != embed_dim:
                raise RequestError(f"{name} makes embeddings of {entry.card.embed_dim} numbers, the head takes {embed_dim}")
            return entry
        fitting = [
            entry
            for entry in self.entries()
            if entry.card.task is Task.ENCODER and entry.card.embed_dim == embed_dim and entry.card.trained_on != SIMULATED
        ]
        if not fitting:
            raise RequestError(
                f"no encoder with embeddings of {embed_dim} numbers is on the shelf: import the head's encoder first, or name"
                " one with --encoder"
            )
        return max(fitting, key=lambda entry: entry.card.imported_at)

    def add(self, name: str, state: Mapping[str, Tensor], about: Mapping[str, Any]) -> ShelfEntry:
        """Put a model on the shelf, whole or not at all.

        Parameters
        ----------
        name
            Its name. A model of this name with the same weights gets the new card; other weights are refused.
        state
            The weights.
        about
            The fields of `ModelCard` other than name, hash, version and time.

        Raises
        ------
        RequestError
            When the name is not one, or is taken by other weights.
        ModelError
            When the card's fields do not go together, or the folder cannot be written.
        """
        from sleepfm.models.networks import save_weights  # noqa: PLC0415 - torch, which a listing must not load

        check_name(name)
        target = self.root / name
        with _new_folder(target) as (folder, place):
            sha256 = save_weights(state, folder / WEIGHTS_FILE)
            if target.is_dir() and read_card(target).weights_sha256 != sha256:
                raise RequestError(f"the shelf has a model named {name} with other weights: give another --name")
            made = {"name": name, "weights_sha256": sha256, "sleepfm_version": sleepfm.__version__, "imported_at": now()}
            try:
                card = ModelCard.model_validate({**about, **made})
            except ValidationError as error:
                raise ModelError(f"{name}: {printable(error.errors()[0]['msg'])}") from None
            (folder / CARD_FILE).write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
            (folder / README_FILE).write_text(readme(card), encoding="utf-8")
            place()
        return ShelfEntry(target, card)

    def export(self, name: str, out: Path) -> Path:
        """Copy a model's folder to `out/<name>` and return it; RequestError when that is there already."""
        entry = self.get(name)
        target = out / name
        if target.exists():
            raise RequestError(f"{target} is there already: choose another --out or remove it")
        with _new_folder(target) as (folder, place):
            for file in (WEIGHTS_FILE, CARD_FILE, README_FILE):
                shutil.copyfile(entry.folder / file, folder / file)
            place()
        return target

    def remove(self, name: str) -> None:
        """Take a model off the shelf; RequestError when heads on the shelf need it."""
        entry = self.get(name)
        heads = [
            head.name
            for head in self.entries()
            if head.card.encoder is not None and head.card.encoder.weights_sha256 == entry.card.weights_sha256
        ]
        twins = [e for e in self.entries() if e.name != name and e.card.weights_sha256 == entry.card.weights_sha256]
        if heads and not twins:
            raise RequestError(f"{name} is the encoder of {', '.join(heads)}: remove these first")
        doomed = self.root / f".{name}.{uuid.uuid4().hex}.tmp"
        entry.folder.rename(doomed)
        shutil.rmtree(doomed)


@contextmanager
def _new_folder(target: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Give a hidden folder beside the target and a function that puts it in the target's place; leave nothing else behind."""
    folder = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    old = target.with_name(f".{target.name}.{uuid.uuid4().hex}.old.tmp")

    def place() -> None:
        if target.is_dir():
            target.rename(old)
        folder.replace(target)

    try:
        try:
            folder.mkdir(parents=True)
            yield folder, place
        except OSError as error:
            raise ModelError(
                f"{target}: cannot be written ({error.strerror or error}); free disk space or choose another folder"
            ) from None
    finally:
        if old.is_dir() and not target.exists():
            old.rename(target)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)

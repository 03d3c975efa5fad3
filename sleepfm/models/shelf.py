"""The model shelf: one folder a model with its card and weights, and the models that come with the software.

Listing it loads no torch.
"""

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
from sleepfm.files import atomic_path
from sleepfm.models.bundled import bundled_models
from sleepfm.models.card import CARD_FILE, README_FILE, SIMULATED, WEIGHTS_FILE, ModelCard, Task, check_name, now, read_card
from sleepfm.models.readme import readme
from sleepfm.models.reference import REFERENCE_FILE, read_reference
from sleepfm.text import printable

if TYPE_CHECKING:
    from torch import Tensor

_DEFAULTS_FILE = "defaults.json"


@dataclass(frozen=True)
class ShelfEntry:
    """A model on the shelf.

    Attributes
    ----------
    bundled
        Whether it came with the software, and so cannot be removed.
    """

    folder: Path
    card: ModelCard
    bundled: bool = False

    @property
    def name(self) -> str:
        """The model's name, which is its folder's."""
        return self.folder.name


class Shelf:
    """The models in one folder (`SLEEPFM_HOME/models`), which need not exist yet, and those that come with the software.

    A model in the folder hides one of the same name that came with the software.

    Parameters
    ----------
    root
        The folder.
    bundled
        The folder of the models that come with the software; by default `sleepfm.models.bundled.bundled_models()`.
    """

    def __init__(self, root: Path, bundled: Path | None = None) -> None:
        self.root = root
        self.bundled = bundled_models() if bundled is None else bundled

    def entries(self) -> list[ShelfEntry]:
        """Return every readable model, by name."""
        return [entry for entry in self._scan()[0] if not self._hidden(entry)]

    def problems(self) -> list[str]:
        """Return a sentence for every folder on the shelf that is no readable model."""
        return self._scan()[1]

    def _scan(self) -> tuple[list[ShelfEntry], list[str]]:
        """Return all readable models, hidden ones too, and what is wrong with the other folders."""
        entries, problems = [], []
        for root in (self.root, self.bundled):
            for folder in sorted(root.iterdir()) if root is not None and root.is_dir() else ():
                if folder.name.startswith(".") or not folder.is_dir():
                    continue
                try:
                    entries.append(ShelfEntry(folder, read_card(folder), bundled=root is not self.root))
                except ModelError as error:
                    problems.append(str(error))
        return sorted(entries, key=lambda entry: entry.name), problems

    def _hidden(self, entry: ShelfEntry) -> bool:
        return entry.bundled and (self.root / entry.name).is_dir()

    def get(self, name: str) -> ShelfEntry:
        """Return a model by name; RequestError when there is none, ModelError when its card cannot be read."""
        folder = self.root / check_name(name)
        if folder.is_dir():
            return ShelfEntry(folder, read_card(folder))
        if self.bundled is not None and (self.bundled / name).is_dir():
            return ShelfEntry(self.bundled / name, read_card(self.bundled / name), bundled=True)
        there = ", ".join(entry.name for entry in self.entries()) or "none"
        raise RequestError(f"no model named {printable(name)!r} on the shelf {self.root} (there: {there})")

    def default(self, task: Task) -> ShelfEntry | None:
        """Return the task's model when nobody names one.

        It is the chosen one; else one of the user's, of these a real one, of these the newest; else one that came with the
        software. A baseline is taken only when it was chosen.
        """
        entries = [entry for entry in self.entries() if entry.card.task is task]
        chosen = self._chosen().get(task)
        for entry in entries:
            if entry.name == chosen:
                return entry
        return max(
            (entry for entry in entries if not entry.card.baseline),
            key=lambda entry: (not entry.bundled, entry.card.real, entry.card.imported_at),
            default=None,
        )

    def choose(self, name: str) -> None:
        """Make a model the default of its task."""
        entry = self.get(name)
        chosen = self._chosen() | {entry.card.task.value: name}
        temporary = self.root / f".{_DEFAULTS_FILE}.{uuid.uuid4().hex}.tmp"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
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
        real = [e for e in self.entries() if e.card.task is task and e.card.real and not e.card.baseline]
        return max(real, key=lambda entry: entry.card.imported_at, default=None)

    def encoder_of(self, head: ModelCard) -> ShelfEntry:
        """Return the encoder that a head belongs to, by the hash of its weights.

        Raises
        ------
        ModelError
            When that encoder is not on the shelf.
        """
        if head.encoder is None:
            what = "is an encoder, not a head" if head.task is Task.ENCODER else "belongs to no encoder"
            raise ModelError(f"{head.name} {what}")
        for entry in self._scan()[0]:
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
            if entry.card.task is Task.ENCODER
            and entry.card.embed_dim == embed_dim
            and entry.card.trained_on != SIMULATED
            and not entry.bundled
        ]
        if not fitting:
            raise RequestError(
                f"no encoder with embeddings of {embed_dim} numbers is on the shelf: import the head's encoder first, or name"
                " one with --encoder"
            )
        return max(fitting, key=lambda entry: entry.card.imported_at)

    def add(
        self,
        name: str,
        state: Mapping[str, Tensor],
        about: Mapping[str, Any],
        *,
        half: bool = False,
        reference: Path | None = None,
    ) -> ShelfEntry:
        """Put a model on the shelf, whole or not at all.

        Parameters
        ----------
        name
            Its name. A model of this name with the same weights gets the new card; other weights are refused.
        state
            The weights.
        about
            The fields of `ModelCard` other than name, hash, version and time.
        half
            Store float32 weights as float16, in half the space.
        reference
            A `reference.json` of the same weights, which goes along. Without one, that of a model of this name stays.

        Raises
        ------
        RequestError
            When the name is not one, or is taken by other weights.
        ModelError
            When the card's fields do not go together, a weight does not fit half precision, or the folder cannot be written.
        """
        from sleepfm.models.networks import save_weights  # noqa: PLC0415 - torch, which a listing must not load

        check_name(name)
        target = self.root / name
        with _new_folder(target) as (folder, place):
            sha256 = save_weights(state, folder / WEIGHTS_FILE, half=half)
            if target.is_dir() and read_card(target).weights_sha256 != sha256:
                raise RequestError(f"the shelf has a model named {name} with other weights: give another --name")
            made = {"name": name, "weights_sha256": sha256, "sleepfm_version": sleepfm.__version__, "imported_at": now()}
            card = _card(name, {**about, **made})
            (folder / CARD_FILE).write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
            (folder / README_FILE).write_text(readme(card), encoding="utf-8")
            of_before = target / REFERENCE_FILE
            kept = reference or (of_before if of_before.is_file() else None)
            if kept is not None:
                shutil.copyfile(kept, folder / REFERENCE_FILE)
                read_reference(folder)  # one of other weights is refused
            place()
        return ShelfEntry(target, card)

    def describe(self, name: str, facts: Mapping[str, Any]) -> ShelfEntry:
        """Put new facts on a model's card, such as metrics that were measured after it was trained.

        Parameters
        ----------
        name
            One of the user's models.
        facts
            Fields of `ModelCard`; what the weights are (name, task, architecture, parameters, hash) stays.

        Raises
        ------
        RequestError
            When there is no such model, or it came with the software.
        ModelError
            When the facts do not go with the card.
        SleepFMError
            When the card cannot be written.
        """
        entry = self.get(name)
        if entry.bundled:
            raise RequestError(f"{name} came with the software and cannot be changed")
        fixed = {field: getattr(entry.card, field) for field in ("name", "task", "architecture", "parameters", "weights_sha256")}
        card = _card(name, {**dict(entry.card), **facts, **fixed})
        for file, text in ((CARD_FILE, card.model_dump_json(indent=1) + "\n"), (README_FILE, readme(card))):
            with atomic_path(entry.folder / file) as temporary:
                temporary.write_text(text, encoding="utf-8")
        return ShelfEntry(entry.folder, card)

    def export(self, name: str, out: Path) -> Path:
        """Copy a model's folder to `out/<name>` and return it; RequestError when that is there already."""
        entry = self.get(name)
        target = out / name
        if target.exists():
            raise RequestError(f"{target} is there already: choose another --out or remove it")
        with _new_folder(target) as (folder, place):
            for file in (WEIGHTS_FILE, CARD_FILE, README_FILE, REFERENCE_FILE):
                if file != REFERENCE_FILE or (entry.folder / file).is_file():
                    shutil.copyfile(entry.folder / file, folder / file)
            place()
        return target

    def remove(self, name: str) -> None:
        """Take a model off the shelf; RequestError when it came with the software, or heads on the shelf need it."""
        entry = self.get(name)
        if entry.bundled:
            raise RequestError(f"{name} came with the software and cannot be removed; name another model to use that one")
        heads = [
            head.name
            for head in self.entries()
            if head.card.encoder is not None and head.card.encoder.weights_sha256 == entry.card.weights_sha256
        ]
        twins = [e for e in self._scan()[0] if e.folder != entry.folder and e.card.weights_sha256 == entry.card.weights_sha256]
        if heads and not twins:
            raise RequestError(f"{name} is the encoder of {', '.join(heads)}: remove these first")
        doomed = self.root / f".{name}.{uuid.uuid4().hex}.tmp"
        entry.folder.rename(doomed)
        shutil.rmtree(doomed)


def _card(name: str, fields: Mapping[str, Any]) -> ModelCard:
    try:
        return ModelCard.model_validate(fields)
    except ValidationError as error:
        raise ModelError(f"{name}: {printable(error.errors()[0]['msg'])}") from None


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

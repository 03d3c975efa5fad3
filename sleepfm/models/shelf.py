"""The model shelf: one folder a model with its card and weights, and the models that come with the software.

A retired model stays on the shelf, so that what it made can be read and made again by its name, but it is neither offered nor
taken. Listing the shelf loads no torch.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
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
from sleepfm.models.shelf_notes import ShelfNotes
from sleepfm.text import printable

if TYPE_CHECKING:
    from torch import Tensor


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
        self._notes = ShelfNotes(root)

    def entries(self, *, retired: bool = False) -> list[ShelfEntry]:
        """Return the readable models, by name.

        Parameters
        ----------
        retired
            Whether retired models are among them, and heads whose encoder is retired: they are not offered to anybody.
        """
        there = [entry for entry in self._scan()[0] if not self._hidden(entry)]
        if retired:
            return there
        resting = self._resting()
        return [entry for entry in there if entry.folder not in resting]

    def is_retired(self, name: str) -> bool:
        """Return whether this model itself was retired; see `is_offered` for heads of a retired encoder."""
        return _is_retired(self.get(name), self._notes.retired())

    def is_offered(self, name: str) -> bool:
        """Return whether a model is offered: it is not retired, and neither is the encoder that it needs."""
        return self.get(name).folder not in self._resting()

    def retire(self, name: str) -> tuple[ShelfEntry, ...]:
        """Offer a model no more, and take it only for those who name it; what it made stays.

        It is not the chosen default of its task any more.

        Returns
        -------
        tuple of ShelfEntry
            The heads that were offered so far and rest with it, for it is their encoder.

        Raises
        ------
        RequestError
            When there is no such model.
        ModelError
            When the shelf cannot be written.
        """
        entry = self.get(name)
        before = {one.folder for one in self.entries()}
        self._notes.retire(name, entry.card.weights_sha256)
        resting = self._resting()
        return tuple(one for one in self.entries(retired=True) if one.folder in before & resting and one.folder != entry.folder)

    def bring_back(self, name: str) -> ShelfEntry:
        """Offer a retired model again; nothing happens to one that is not retired."""
        entry = self.get(name)
        self._notes.bring_back(name)
        return entry

    def retired_words(self, task: Task) -> str:
        """Return " (retired: base, old)" for the end of a sentence that says that there is no model for a task, or nothing."""
        resting = self._resting()
        names = [one.name for one in self.entries(retired=True) if one.card.task is task and one.folder in resting]
        return f" (retired: {', '.join(names)})" if names else ""

    def _resting(self) -> set[Path]:
        """Return the folders of what is not offered: retired models, and heads whose encoder is there only retired."""
        noted = self._notes.retired()
        if not noted:
            return set()
        entries = self._scan()[0]
        retired = {entry.folder for entry in entries if _is_retired(entry, noted)}
        encoders = [entry for entry in entries if entry.card.task is Task.ENCODER]
        awake = {entry.card.weights_sha256 for entry in encoders if entry.folder not in retired}
        asleep = {entry.card.weights_sha256 for entry in encoders} - awake
        heads = {e.folder for e in entries if e.card.encoder is not None and e.card.encoder.weights_sha256 in asleep}
        return retired | heads

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
                    entries.append(ShelfEntry(folder, _card_of(folder), bundled=root is not self.root))
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
        chosen = self.chosen(task)
        for entry in entries:
            if entry.name == chosen:
                return entry
        return max(
            (entry for entry in entries if not entry.card.baseline),
            key=lambda entry: (not entry.bundled, entry.card.real, entry.card.imported_at),
            default=None,
        )

    def chosen(self, task: Task) -> str | None:
        """Return the name that somebody chose as the default of a task, None where nobody did."""
        return self._notes.defaults().get(task)

    def choose(self, name: str) -> ShelfEntry:
        """Make a model the default of its task.

        Raises
        ------
        RequestError
            When there is no such model, or it is not offered.
        ModelError
            When the shelf cannot be written.
        """
        entry = self.get(name)
        if self.is_retired(name):
            raise RequestError(f"{name} is retired and cannot be a default: bring it back first")
        if not self.is_offered(name) and entry.card.encoder is not None:
            raise RequestError(f"{name} cannot be a default: its encoder, {entry.card.encoder.name}, is retired")
        self._notes.choose(entry.card.task.value, name)
        return entry

    def unchoose(self, task: Task) -> None:
        """Forget the chosen default of a task, so that the rule of `default` holds again."""
        self._notes.choose(task.value, None)

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
            made = {"name": name, "weights_sha256": sha256, "sleepfm_version": sleepfm.__version__, "imported_at": now()}
            card = _card(name, {**about, **made})
            (folder / CARD_FILE).write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
            (folder / README_FILE).write_text(readme(card), encoding="utf-8")
            with self._notes.locked():  # between the look and the deed nobody else may give a model this name
                if target.is_dir() and read_card(target).weights_sha256 != sha256:
                    raise RequestError(f"the shelf has a model named {name} with other weights: give another --name")
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
            for head in self.entries(retired=True)
            if head.card.encoder is not None and head.card.encoder.weights_sha256 == entry.card.weights_sha256
        ]
        twins = [e for e in self._scan()[0] if e.folder != entry.folder and e.card.weights_sha256 == entry.card.weights_sha256]
        if heads and not twins:
            raise RequestError(f"{name} is the encoder of {', '.join(heads)}: remove these first")
        doomed = self.root / f".{name}.{uuid.uuid4().hex}.tmp"
        try:
            entry.folder.rename(doomed)
        except OSError as error:
            raise ModelError(f"{entry.folder}: cannot be removed ({error.strerror or error}); check its permissions") from None
        self._notes.forget(name)
        shutil.rmtree(doomed)


def _card_of(folder: Path) -> ModelCard:
    """Read a card, once for as long as its file stays the same: a page looks at the whole shelf many times."""
    try:
        stat = (folder / CARD_FILE).stat()
    except OSError:
        return read_card(folder)  # which says what is wrong
    return _unchanged_card(folder, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=1024)
def _unchanged_card(folder: Path, _mtime_ns: int, _size: int, _inode: int) -> ModelCard:
    return read_card(folder)


def _is_retired(entry: ShelfEntry, retired: Mapping[str, str]) -> bool:
    """Another model that came under the name of a retired one is not retired: the weights count."""
    return retired.get(entry.name) == entry.card.weights_sha256


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

"""What people decided about the models of a shelf: which is a task's default, and which are retired. Two small JSON files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from sleepfm.errors import ModelError, SleepFMError
from sleepfm.files import atomic_path

_DEFAULTS_FILE = "defaults.json"
_RETIRED_FILE = "retired.json"
_LOCK_FILE = ".notes.lock"


class ShelfNotes:
    """The notes in a shelf's folder, which need not exist yet. Several processes may change them at once.

    Every method raises ModelError when a file is damaged or cannot be written.

    Parameters
    ----------
    root
        The shelf's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def defaults(self) -> dict[str, str]:
        """Return the chosen model of each task that has one."""
        return self._read(_DEFAULTS_FILE)

    def retired(self) -> dict[str, str]:
        """Return the retired models: name and SHA-256 of the weights, for another model may come under the name."""
        return self._read(_RETIRED_FILE)

    def choose(self, task: str, name: str | None) -> None:
        """Note the chosen model of a task; None forgets it."""
        with self.locked():
            self._change(_DEFAULTS_FILE, lambda noted: noted.pop(task, None) if name is None else noted.update({task: name}))

    def retire(self, name: str, weights_sha256: str) -> None:
        """Note that a model is retired, which is then no task's chosen one any more."""
        with self.locked():
            self._change(_RETIRED_FILE, lambda noted: noted.update({name: weights_sha256}))
            self._change(_DEFAULTS_FILE, lambda noted: _drop_value(noted, name))

    def bring_back(self, name: str) -> None:
        """Forget that a model is retired."""
        with self.locked():
            self._change(_RETIRED_FILE, lambda noted: noted.pop(name, None))

    def forget(self, name: str) -> None:
        """Forget everything about a model."""
        with self.locked():
            self._change(_RETIRED_FILE, lambda noted: noted.pop(name, None))
            self._change(_DEFAULTS_FILE, lambda noted: _drop_value(noted, name))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process from changing the shelf; it waits until they have done. Not to be taken twice."""
        lock = FileLock(self._root / _LOCK_FILE)
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            raise ModelError(f"{self._root}: cannot be written ({error.strerror or error}); check its permissions") from None
        try:
            yield
        finally:
            lock.release()

    def _change(self, file: str, change: Callable[[dict[str, str]], object]) -> None:
        before = self._read(file)
        after = dict(before)
        change(after)
        if after == before:
            return
        try:
            with atomic_path(self._root / file) as temporary:
                temporary.write_text(json.dumps(after, indent=1), encoding="utf-8")
        except SleepFMError as error:
            raise ModelError(str(error)) from None

    def _read(self, file: str) -> dict[str, str]:
        path = self._root / file
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            raise ModelError(f"{path}: cannot be read; delete it to forget what it says of the models") from None
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _drop_value(noted: dict[str, str], name: str) -> None:
    for task in [task for task, chosen in noted.items() if chosen == name]:
        del noted[task]

"""The curves of runs, kept parsed in the server: a run that goes on is read only where it is new."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from threading import Lock

from sleepfm.home import Home
from sleepfm.runs.run_curves import Curves, Series
from sleepfm.runs.run_files import run_folder

KEPT = 16
"""So many runs stay parsed."""


@dataclass(frozen=True)
class StoredCurves:
    """What a run has written down.

    Attributes
    ----------
    version
        A word that changes whenever there is something new.
    remarks
        What could not be read.
    """

    series: Mapping[str, Series]
    version: str
    remarks: tuple[str, ...]

    @property
    def best_validation_loss(self) -> float | None:
        """The lowest validation loss so far (no unit), None before the first validation."""
        losses = self.series.get("validation/loss")
        return None if losses is None else float(losses.value.min())

    @property
    def steps(self) -> int | None:
        """The latest optimiser step, None before the first."""
        losses = self.series.get("train/loss")
        return None if losses is None else int(losses.step.max())


class CurveStore:
    """The curves of a home folder's runs, for several threads."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._kept: OrderedDict[str, tuple[Lock, Curves]] = OrderedDict()
        self._lock = Lock()

    def read(self, identifier: str) -> StoredCurves:
        """Return a run's curves as they are now; RequestError when this cannot be the id of a run."""
        folder = run_folder(self._home, identifier)
        with self._lock:
            if identifier not in self._kept:
                self._kept[identifier] = (Lock(), Curves(folder))
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(identifier)
            lock, curves = self._kept[identifier]
        with lock:
            series = curves.read()
            # the length too: a run that was forgotten here and read anew begins to count anew
            return StoredCurves(series, f"{curves.version} {sum(len(one.step) for one in series.values())}", curves.remarks)


@cache
def curve_store(home: Home) -> CurveStore:
    """Return the one store of a home folder in this process; the page and the route share it."""
    return CurveStore(home)

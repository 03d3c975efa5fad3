"""What the app's machine and a cluster's nodes tell each other about a job, as small files in the run's folder.

Nodes do not open the database: SQLite's write-ahead log must not be used over a network file system. So a job's order lies in
`runs/<id>/cluster/<attempt>/`, and beside it what its processes say: each file has one writer and appears whole.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sleepfm.errors import SleepFMError
from sleepfm.files import atomic_path
from sleepfm.runs.table import Job, JobState

_ORDER = "order.json"
_STOP = "stop"


@dataclass(frozen=True)
class Order:
    """What is to be done.

    Attributes
    ----------
    home
        The home folder, at the same path on the nodes.
    kind, parameters
        As in the job's row.
    parts
        Into how many jobs of an array the work is divided; 0: it is one job.
    tasks
        Processes of a training run.
    version
        Of the software that asks; the nodes must run the same.
    """

    home: str
    job: str
    kind: str
    parameters: dict[str, Any]
    parts: int
    tasks: int
    version: str


@dataclass(frozen=True)
class Outcome:
    """How a process of the job ended; the one that leads says it for all, others only when they failed."""

    state: JobState
    result: dict[str, Any] | None
    error: str | None
    time: float


@dataclass(frozen=True)
class Advance:
    """How far a process is: 0 to 1, and what it is doing."""

    fraction: float
    message: str


class Exchange:
    """The folder of one attempt. `number` is the part of an array, or the rank of a process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, runs: Path, job: Job) -> Exchange:
        """Return the exchange of a job's present attempt."""
        return cls(runs / job.id / "cluster" / str(job.attempt))

    def give(self, order: Order) -> None:
        """Write down what is to be done."""
        self._write(_ORDER, asdict(order))

    def order(self) -> Order:
        """Return what is to be done.

        Raises
        ------
        SleepFMError
            When it cannot be read from here.
        """
        try:
            return Order(**json.loads((self.folder / _ORDER).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise SleepFMError(f"{self.folder / _ORDER}: the order cannot be read ({error}); start the run anew") from error

    def overtaken(self) -> bool:
        """Return whether a later attempt of the job was begun."""
        own = int(self.folder.name)
        return any(int(other.name) > own for other in self.folder.parent.iterdir() if other.name.isdecimal())

    def ask_to_stop(self) -> None:
        """Leave word that the job is to stop, for processes that no signal reaches (yet).

        Raises
        ------
        SleepFMError
            When it cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / _STOP).touch()
        except OSError as error:
            raise SleepFMError(f"{self.folder}: cannot be written ({error.strerror or error}); free disk space") from None

    def stop_asked(self) -> bool:
        """Return whether the job is to stop."""
        return (self.folder / _STOP).exists()

    def advance(self, number: int, fraction: float, message: str) -> None:
        """Say how far a process is."""
        self._write(f"advance-{number}.json", {"fraction": min(max(fraction, 0.0), 1.0), "message": message})

    def end(self, number: int, state: JobState, *, result: dict[str, Any] | None = None, error: str | None = None) -> None:
        """Say how a process ended."""
        self._write(f"outcome-{number}.json", {"state": state, "result": result, "error": error, "time": time.time()})

    def advances(self) -> dict[int, Advance]:
        """Return how far each process is that said so."""
        found = {}
        for number, said in self._read("advance-").items():
            fraction, message = said.get("fraction"), said.get("message")
            if isinstance(fraction, int | float) and isinstance(message, str):
                found[number] = Advance(min(max(float(fraction), 0.0), 1.0), message)
        return found

    def outcomes(self) -> dict[int, Outcome]:
        """Return how each process ended that said so."""
        found = {}
        for number, said in self._read("outcome-").items():
            try:
                found[number] = Outcome(JobState(said["state"]), said["result"], said["error"], float(said["time"]))
            except (KeyError, ValueError, TypeError):
                continue  # changed by hand: then it is as if nothing had been said
        return found

    def _read(self, beginning: str) -> dict[int, dict[str, Any]]:
        """Read all files of a sort; listing the folder anew also makes a network file system look again."""
        found = {}
        for file in self.folder.glob(f"{beginning}*.json"):
            number = file.stem.removeprefix(beginning)
            try:
                said = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError):
                continue  # replaced at this moment, or changed by hand
            if number.isdecimal() and isinstance(said, dict):
                found[int(number)] = said
        return found

    def _write(self, name: str, content: dict[str, Any]) -> None:
        with atomic_path(self.folder / name) as temporary:
            temporary.write_text(json.dumps(content), encoding="utf-8")

"""What a look before a long run found: a list of checks in words, and what the run will take. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

CheckState = Literal["good", "doubtful", "bad"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name
        In a word or two.
    state
        `bad`: the run would fail; `doubtful`: it would run, but somebody should read the words.
    words
        What was found, and for what is not good what to do.
    """

    name: str
    state: CheckState
    words: str


@dataclass(frozen=True)
class Preflight:
    """What was found before a run.

    Attributes
    ----------
    seconds
        How long the run will take on this machine, about; None where the trial did not get so far. The check "time" says how sure
        that is.
    memory_mb
        Main memory that it will need.
    device_memory_mb
        Memory of one GPU that it will need; None on the CPU.
    disk_mb
        What checkpoints, embeddings and the model will take.
    samples
        Windows or stretches of a night that one epoch of training sees.
    """

    checks: tuple[Check, ...]
    seconds: float | None = None
    memory_mb: float | None = None
    device_memory_mb: float | None = None
    disk_mb: float | None = None
    samples: int | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing stands in the way."""
        return all(check.state != "bad" for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """Return what goes into JSON; `from_dict` reads it back."""
        return asdict(self) | {"passed": self.passed, "checks": [asdict(check) for check in self.checks]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Preflight:
        """Read what `as_dict` wrote."""
        numbers = {name: content[name] for name in ("seconds", "memory_mb", "device_memory_mb", "disk_mb", "samples")}
        return cls(tuple(Check(**check) for check in content["checks"]), **numbers)

"""The risks that were computed for the library's studies: stored with what they were made from, and ranked among each other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from sleepfm.inference.risk_result import RiskResult
from sleepfm.library.library import Library
from sleepfm.models.card import Sex
from sleepfm.runs.database import connect, transaction


@dataclass(frozen=True, eq=False)
class StoredRisk:
    """A risk of a study.

    Attributes
    ----------
    result
        Read from its file.
    provenance
        What it was made from: at least `key` and `source_sha256`.
    """

    id: int
    study: str
    model: str
    age: float | None
    sex: Sex | None
    created_at: datetime
    result: RiskResult
    provenance: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where scores stand among the library's other studies with a risk by the same weights: 1 is the highest.

    Attributes
    ----------
    rank_k
        (condition,) int64.
    of
        Studies, this one among them.
    """

    rank_k: np.ndarray
    of: int


def risks(library: Library, study: str | None = None, model: str | None = None) -> list[StoredRisk]:
    """Return the stored risks, the newest first.

    One whose file was deleted is left out, and so are those made from other bytes than the study's file has now.

    Parameters
    ----------
    study, model
        Only of this study, of the model of this name.

    Raises
    ------
    SleepFMError
        When a stored file is damaged.
    """
    raise NotImplementedError


def store(library: Library, result: RiskResult, provenance: dict[str, Any]) -> int:
    """Store a risk and return its number; one by the same model for the same age, sex and players is replaced.

    `provenance` holds at least `key` and `source_sha256`, the hash of the file that was assessed.
    """
    raise NotImplementedError


def remove(library: Library, number: int) -> None:
    """Forget a stored risk; nothing happens when it is gone already."""
    raise NotImplementedError


def ranks(library: Library, result: RiskResult) -> Ranks:
    """Return where a result's scores stand among the newest risk of every study by the same weights.

    Scores that leave age and sex out are ranked among such scores only.
    """
    raise NotImplementedError

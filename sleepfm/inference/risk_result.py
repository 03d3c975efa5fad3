"""What a disease head says of one night, and what its score rests on: plain arrays in one file. Loads no torch."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sleepfm.errors import SleepFMError
from sleepfm.files import atomic_path
from sleepfm.models.card import Condition, Sex
from sleepfm.text import printable
from sleepfm.vocabulary import Modality

AGE, SEX = "age", "sex"
"""The names of the players that are no modality."""

FORMAT = 1


@dataclass(frozen=True, eq=False)
class RiskResult:
    """The log hazards of one night with their reasons.

    Every number of the score is a log hazard: relative, no probability. "Score" below is the log hazard of a condition,
    "player" what a Shapley value is given to, "coalition" a set of players: the head's answer when only these are there.

    Attributes
    ----------
    study
        The recording's id.
    model, weights_sha256, trained_on
        The head.
    simulated_recording
        Whether the signals are simulated.
    age, sex
        As they were told (years; "female", "male" or "unknown"); None when the head takes neither.
    demographics_left_out
        The head takes age and sex, but nobody knows how they are coded: the scores are what the night alone adds to a person's
        log hazard. They rank people of the same age and sex, and nothing else.
    conditions
        The head's outputs; phecodes "0", "1", … when nobody named them.
    modalities
        Those that the night has and the head looks at.
    players
        The modalities, then "age" and "sex" when they were asked for as players.
    log_hazard_k
        (condition,) float64, the score.
    low_k, high_k
        (condition,) 95 % interval by bootstrap over 5-min windows: how much the score depends on which parts of the night were
        looked at. It says nothing of the model's own error.
    coalition_ck
        (2 ** players, condition) the score of every coalition; bit i of the row's number says whether player i is in it.
    shapley_pk, shapley_low_pk, shapley_high_pk
        (player, condition) exact Shapley values with their interval; `base_k` and they add up to `log_hazard_k`.
    ablation_pk, ablation_low_pk, ablation_high_pk
        (player, condition) the score minus the score without that player.
    window_start_s, window_stop_s
        (window,) the 5-min windows of the recording that were looked at, in seconds from its start; the first and the last may be
        shorter.
    occlusion_wk
        (window, condition) float32, the score minus the score of the night with that window cut out.
    demographics_log_hazard_k
        (condition,) log hazards from age and sex alone, NaN for a condition which that model does not know; None without such a
        model.
    demographics_model
        Its name on the shelf; empty without one.
    start_s, stop_s
        The stretch of the recording that was looked at.
    warnings
        Each a sentence.
    """

    study: str
    model: str
    weights_sha256: str
    trained_on: str
    simulated_recording: bool
    age: float | None
    sex: Sex | None
    demographics_left_out: bool
    conditions: tuple[Condition, ...]
    modalities: tuple[Modality, ...]
    players: tuple[str, ...]
    log_hazard_k: np.ndarray
    low_k: np.ndarray
    high_k: np.ndarray
    coalition_ck: np.ndarray
    shapley_pk: np.ndarray
    shapley_low_pk: np.ndarray
    shapley_high_pk: np.ndarray
    ablation_pk: np.ndarray
    ablation_low_pk: np.ndarray
    ablation_high_pk: np.ndarray
    window_start_s: np.ndarray
    window_stop_s: np.ndarray
    occlusion_wk: np.ndarray
    demographics_log_hazard_k: np.ndarray | None
    demographics_model: str
    start_s: float
    stop_s: float
    warnings: tuple[str, ...]

    @property
    def base_k(self) -> np.ndarray:
        """(condition,) the score of the empty coalition: no signal; the person's age and sex unless they are players."""
        base_k: np.ndarray = self.coalition_ck[0]
        return base_k

    def index(self, phecode: str) -> int | None:
        """Return the place of a condition among `conditions`; None when the head does not speak of it."""
        return next((k for k, one in enumerate(self.conditions) if one.phecode == phecode), None)

    def save(self, path: Path) -> None:
        """Write the result as one NumPy archive (no pickle).

        Raises
        ------
        SleepFMError
            When the file cannot be written.
        """
        about = {name: getattr(self, name) for name in _PLAIN}
        about["conditions"] = [[one.phecode, one.phenotype] for one in self.conditions]
        arrays = {name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None}
        text = np.frombuffer(json.dumps({"format": FORMAT, **about}).encode(), np.uint8)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, about=text, **arrays)

    @classmethod
    def load(cls, path: Path) -> RiskResult:
        """Read a result.

        Raises
        ------
        SleepFMError
            When there is no such file, or it is damaged or of another version.
        """
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                about = json.loads(file["about"].tobytes())
                arrays: dict[str, Any] = {name: file[name] for name in _ARRAYS if name in file or name != _MAY_BE_NONE}
            if about["format"] != FORMAT:
                raise ValueError("another version wrote it")
            made: dict[str, Any] = {_MAY_BE_NONE: None, **{name: about[name] for name in _PLAIN}, **arrays}
            made["conditions"] = tuple(Condition(phecode=phecode, phenotype=name) for phecode, name in about["conditions"])
            made["modalities"] = tuple(Modality(name) for name in made["modalities"])
            return cls(**made | {name: tuple(made[name]) for name in ("players", "warnings")})
        except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
            raise _unreadable(path, error) from None


@dataclass(frozen=True, eq=False)
class RiskSummary:
    """What many people's results are compared by: the scores without their reasons. Fields as in `RiskResult`."""

    study: str
    model: str
    weights_sha256: str
    trained_on: str
    simulated_recording: bool
    demographics_left_out: bool
    conditions: tuple[Condition, ...]
    log_hazard_k: np.ndarray
    low_k: np.ndarray
    high_k: np.ndarray
    demographics_log_hazard_k: np.ndarray | None
    demographics_model: str


def read_summary(path: Path) -> RiskSummary:
    """Read the scores of a stored result without its reasons; errors as `RiskResult.load`."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            about = json.loads(file["about"].tobytes())
            arrays: dict[str, Any] = {name: file[name] for name in ("log_hazard_k", "low_k", "high_k")}
            arrays[_MAY_BE_NONE] = file.get(_MAY_BE_NONE)
        if about["format"] != FORMAT:
            raise ValueError("another version wrote it")
        conditions = _conditions(tuple((phecode, name) for phecode, name in about["conditions"]))
        plain = {one.name: about[one.name] for one in fields(RiskSummary) if one.name in _PLAIN}
        return RiskSummary(conditions=conditions, **plain, **arrays)
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from None


@lru_cache(maxsize=16)
def _conditions(names: tuple[tuple[str, str], ...]) -> tuple[Condition, ...]:
    """Return the conditions of these names, the same ones for all results of a model."""
    return tuple(Condition(phecode=phecode, phenotype=name) for phecode, name in names)


def read_scores(path: Path) -> tuple[np.ndarray, bool]:
    """Return the (condition,) log hazards in a stored result, and whether they leave age and sex out; errors as `load`."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return file["log_hazard_k"], bool(json.loads(file["about"].tobytes())["demographics_left_out"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> SleepFMError:
    return SleepFMError(f"{path}: is no stored risk or is damaged ({printable(str(error))}); assess the study again")


_ARRAYS = tuple(one.name for one in fields(RiskResult) if one.name.rpartition("_")[2] in ("k", "ck", "pk", "wk"))
_ARRAYS += ("window_start_s", "window_stop_s")
_MAY_BE_NONE = "demographics_log_hazard_k"
_PLAIN = tuple(one.name for one in fields(RiskResult) if one.name not in (*_ARRAYS, "conditions"))

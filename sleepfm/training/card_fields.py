"""What a trained head's card says beyond its network: how it came about, baseline hazards, thresholds."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from pydantic import BaseModel

from sleepfm.analysis.survival import breslow
from sleepfm.models.card import BaselineHazard, Training
from sleepfm.training.config_files import as_yaml
from sleepfm.training.night_labels import EVENT, KNOWN, YEARS
from sleepfm.training.nights import LabelledNight
from sleepfm.training.run_folder import git_state

_HAZARD_YEARS = range(1, 11)


def training_record(
    settings: BaseModel, nights: Mapping[str, Sequence[LabelledNight]], *, seed: int, seconds: float, device: torch.device
) -> Training:
    """Return how a head's weights came about.

    Parameters
    ----------
    nights
        Of each split.
    """
    every = sorted({(one.night.study, one.night.origin.key) for split in nights.values() for one in split})
    subjects = {name: len({one.night.subject for one in split}) for name, split in nights.items()}
    return made_here(settings, every, subjects, seed=seed, seconds=seconds, device=device)


def made_here(
    settings: BaseModel,
    recordings: Sequence[tuple[str, object]] | None,
    subjects: Mapping[str, int],
    *,
    seed: int,
    seconds: float,
    device: torch.device,
) -> Training:
    """Return how weights came about that were trained by this software on this machine.

    Parameters
    ----------
    recordings
        Names, each with what tells its content, in a fixed order; None where the content is not known.
    subjects
        How many in each split.
    """
    git = git_state()
    commit = str(git.get("commit", ""))
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{os.cpu_count()} cores"
    return Training(
        config_sha256=hashlib.sha256(as_yaml(settings).encode()).hexdigest(),
        data_sha256="" if recordings is None else hashlib.sha256(repr(list(recordings)).encode()).hexdigest(),
        seed=seed,
        git=f"{commit}, files changed since" if git.get("changed") else commit,
        subjects=dict(subjects),
        machine=f"{platform.system()} {platform.machine()}, {where}",
        seconds=round(seconds, 1),
    )


def baseline_hazard(nights: Sequence[LabelledNight], columns: Sequence[int], log_hazard_nk: np.ndarray) -> BaselineHazard | None:
    """Return Breslow's baseline hazard of the training nights at 1 to 10 years, as far as every condition was followed.

    Parameters
    ----------
    columns
        The labels' conditions that the hazards' columns stand for.
    log_hazard_nk
        (night, condition) what the head says of them.

    Returns
    -------
    BaselineHazard or None
        Of a person whose log hazard is 0; None when a condition was followed for less than a year.
    """
    found = []
    for place, column in enumerate(columns):
        known_n = np.array([bool(one.by_night[KNOWN][column]) for one in nights])
        years_n, event_n = (np.array([one.by_night[name][column] for one in nights])[known_n] for name in (YEARS, EVENT))
        found.append(breslow(years_n, event_n, log_hazard_nk[known_n, place]))
    followed = min(one.followed_years for one in found)
    years = tuple(float(year) for year in _HAZARD_YEARS if year <= followed)
    if not years:
        return None

    def of_zero(value_t: np.ndarray, centre: float) -> tuple[float, ...]:
        return tuple(float(x) for x in value_t * np.exp(-centre))

    return BaselineHazard(
        years=years,
        cumulative=tuple(of_zero(one.at(np.array(years)), one.centre) for one in found),
        standard_error=tuple(of_zero(one.standard_error(np.array(years)), one.centre) for one in found),
    )


def best_threshold(truth_n: np.ndarray, probability_n: np.ndarray) -> float | None:
    """Return the probability from which calling an event gives the highest F1; None without events and non-events.

    Parameters
    ----------
    truth_n
        1, 0, or -1 where unknown.
    probability_n
        NaN where there is none.
    """
    known_n = (truth_n >= 0) & np.isfinite(probability_n)
    truth_n, probability_n = truth_n[known_n] == 1, probability_n[known_n]
    if truth_n.all() or not truth_n.any():
        return None
    order_n = np.argsort(-probability_n, kind="stable")
    truth_n, probability_n = truth_n[order_n], probability_n[order_n]
    last_n = np.append(probability_n[1:] != probability_n[:-1], True)
    right_n = np.cumsum(truth_n)
    f1_n = 2 * right_n / (np.arange(1, len(truth_n) + 1) + truth_n.sum())
    return float(probability_n[np.flatnonzero(last_n)[f1_n[last_n].argmax()]])

"""A night's risk as files: one row a condition with what it rests on, and what `sleepfm risk --json` prints."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from sleepfm.errors import RequestError
from sleepfm.files import atomic_path
from sleepfm.inference.device import Device, Precision
from sleepfm.inference.night import Night, open_night
from sleepfm.inference.risk import RiskModels, load_risk_models, night_risk
from sleepfm.inference.risk_curves import event_free_curve, ranks_only
from sleepfm.inference.risk_request import choose_risk_model, require_person
from sleepfm.inference.risk_result import RiskResult
from sleepfm.models.card import Condition, ModelCard
from sleepfm.models.reference import ConditionReference, Measured
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress, part, silent
from sleepfm.recording.scorings.tables import spreadsheet_safe

YEARS = (1, 5, 10)
"""For which the event-free probability is written."""
BASE = "base"
RESEARCH_USE = "For research use: a score and what it rests on, no diagnosis."
_DIGITS = 7


def risk_file(
    file: Path,
    out: Path,
    *,
    age: object,
    sex: object,
    model: str | None,
    shelf: Shelf,
    demographic_players: bool = False,
    lights_off_s: float | None = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Compute the risk of one file into a CSV and return what `risk --json` prints.

    Parameters
    ----------
    age, sex, demographic_players, lights_off_s
        See `sleepfm.inference.risk.night_risk`.
    model
        On the shelf; None for one trained on real recordings.
    device, precision
        Of the encoder; the head runs in float32.

    Raises
    ------
    RequestError
        When `out` is a folder, no such model is there, or age or sex are missing or impossible.
    RecordingError, ModelError
        When the file's risk cannot be computed.
    """
    if out.is_dir():
        raise RequestError(f"{out}: is a folder; --out names the CSV to write")
    entry = choose_risk_model(shelf, model)  # what is asked for wrongly is said before minutes of work
    require_person(entry.card, age, sex)
    with open_night(file) as night:
        found = assess(
            night,
            entry,
            shelf,
            age=age,
            sex=sex,
            demographic_players=demographic_players,
            lights_off_s=lights_off_s,
            device=device,
            precision=precision,
            progress=progress,
        )
        write_risk(*found, out)
        return {"id": night.id, **describe_risk(*found), "out": str(out)}


def assess(
    night: Night,
    entry: ShelfEntry,
    shelf: Shelf,
    *,
    age: object,
    sex: object,
    demographic_players: bool = False,
    lights_off_s: float | None = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    progress: Progress = silent,
) -> tuple[RiskResult, RiskModels]:
    """Embed a night and return its risk with the models that it is read beside; parameters and errors as of `risk_file`."""
    require_person(entry.card, age, sex)
    encoder = shelf.encoder_of(entry.card)
    embeddings = night.embeddings(encoder, device=device, precision=precision, progress=part(progress, 0.0, 0.6))
    models = load_risk_models(entry, shelf)
    result = night_risk(
        embeddings,
        models,
        age=age,
        sex=sex,
        demographic_players=demographic_players,
        lights_off_s=lights_off_s,
        progress=part(progress, 0.6, 1.0),
    )
    return result, models


def describe_risk(result: RiskResult, models: RiskModels) -> dict[str, Any]:
    """Return a result for JSON: no NaN, a number that is not there is null."""
    return {
        "model": result.model,
        "trained_on": result.trained_on,
        "weights_sha256": result.weights_sha256,
        "age": result.age,
        "sex": result.sex,
        "use": RESEARCH_USE,
        "players": list(result.players),
        "start_s": result.start_s,
        "stop_s": result.stop_s,
        "warnings": list(result.warnings),
        "conditions": [_nested(result, models, k) for k in range(len(result.conditions))],
    }


def _nested(result: RiskResult, models: RiskModels, k: int) -> dict[str, Any]:
    row = {name: value for name, value in _row(result, models, k).items() if name not in (*result.players, BASE)}
    shares = {player: _rounded(result.shapley_pk[p, k]) for p, player in enumerate(result.players)}
    return {**row, "attribution": {**shares, BASE: _rounded(result.base_k[k])}}


def write_risk(result: RiskResult, models: RiskModels, out: Path) -> None:
    """Write one row a condition; what is not known is empty.

    Raises
    ------
    SleepFMError
        When the file cannot be written.
    """
    rows = [_row(result, models, k) for k in range(len(result.conditions))]
    with atomic_path(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: object) -> object:
    if isinstance(value, str):
        return spreadsheet_safe(value)  # the names of conditions come with the model
    return "" if value is None else value


def _row(result: RiskResult, models: RiskModels, k: int) -> dict[str, Any]:
    card, reference, beside = models.head.card, models.reference, models.demographics
    score, low, high = (float(number_k[k]) for number_k in (result.log_hazard_k, result.low_k, result.high_k))
    of_people = None if reference is None else reference.conditions[k]
    why_not = ranks_only(card, result, k)
    alone_k = result.demographics_log_hazard_k
    alone = None if alone_k is None else float(alone_k[k])
    percentile = None if reference is None or result.demographics_left_out else reference.percentile(k, score)
    return {
        "phecode": result.conditions[k].phecode,
        "phenotype": result.conditions[k].phenotype,
        "log_hazard": _rounded(score),
        "log_hazard_low": _rounded(low),
        "log_hazard_high": _rounded(high),
        "percentile": _rounded(percentile),
        **_event_free(None if why_not else card, k, score, low, high),
        "ranks_only": why_not or None,
        "log_hazard_age_and_sex": _rounded(alone),
        **_event_free_alone(None if beside is None else beside.card, result.conditions[k], alone),
        **_worth(of_people),
        "beats_age_and_sex": None if reference is None else reference.beats_demographics(k),
        BASE: _rounded(result.base_k[k]),
        **{player: _rounded(result.shapley_pk[p, k]) for p, player in enumerate(result.players)},
        **{f"with_minus_without_{player}": _rounded(result.ablation_pk[p, k]) for p, player in enumerate(result.players)},
    }


def _event_free(card: ModelCard | None, k: int, score: float, low: float, high: float) -> dict[str, Any]:
    """Return the event-free probability at each of `YEARS` with its band; None where there is no card, or it does not know."""
    curve = None if card is None else event_free_curve(card, k, score, low, high)
    found: dict[str, Any] = {}
    for year in YEARS:
        value, below, above = (None, None, None) if curve is None else curve.at(year) or (None, None, None)
        found |= {f"event_free_{year}y": _rounded(value)}
        found |= {f"event_free_{year}y_low": _rounded(below), f"event_free_{year}y_high": _rounded(above)}
    return found


def _event_free_alone(card: ModelCard | None, condition: Condition, score: float | None) -> dict[str, Any]:
    """Return the same by age and sex alone, without a band: nothing of the night is in it."""
    labels = () if card is None else tuple(one for one in card.labels if isinstance(one, Condition))
    place = next((k for k, one in enumerate(labels) if one.phecode == condition.phecode), None)
    known = None if place is None or score is None or not np.isfinite(score) else card
    told = _event_free(known, place or 0, *[score or 0.0] * 3)
    return {f"event_free_{year}y_age_and_sex": told[f"event_free_{year}y"] for year in YEARS}


def _worth(people: ConditionReference | None) -> dict[str, Any]:
    """Return what the model was worth for a condition among its reference people."""
    return {
        **_measured("c_index", None if people is None else people.c_index),
        **_measured("c_index_age_and_sex", None if people is None else people.demographics_c_index),
        "p": None if people is None else _rounded(people.p),
        "n": None if people is None else people.n,
        "events": None if people is None else people.events,
    }


def _measured(name: str, measured: Measured | None) -> dict[str, Any]:
    if measured is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    return {name: measured.value, f"{name}_low": measured.low, f"{name}_high": measured.high}


def _rounded(value: float | np.floating[Any] | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(f"{value:.{_DIGITS}g}")

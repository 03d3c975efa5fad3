"""A made-up risk result of a small game whose Shapley values are known, with a card and reference people to read it beside."""

from __future__ import annotations

from typing import Any

import numpy as np

from sleepfm.inference.risk_result import AGE, SEX, RiskResult
from sleepfm.models.card import BaselineHazard, Condition, DemographicCoding, EncoderLink, ModelCard, Task, now
from sleepfm.models.reference import AgeSex, ConditionReference, Measured, Reference
from sleepfm.viewer.risk_table import Assessment
from sleepfm.vocabulary import Modality

WEIGHTS = "a" * 64
NAMES = ("Sleep apnea", "Heart failure", "Essential [hypertension](x)", "Stroke")
YEARS = (1.0, 2.0, 5.0, 10.0)


def made_up_result(
    number: int = 4,
    *,
    modalities: tuple[Modality, ...] = tuple(Modality),
    players: bool = False,
    **changes: Any,
) -> RiskResult:
    """Return a result whose score is the base plus one additive part a player, so that the part is its Shapley value."""
    rng = np.random.default_rng(0)
    names = (*modalities, *((AGE, SEX) if players else ()))
    base_k = rng.normal(-1, 0.5, number)
    part_pk = rng.normal(0, 0.4, (len(names), number))
    member_cp = (np.arange(2 ** len(names))[:, None] >> np.arange(len(names))) & 1
    coalition_ck = base_k + member_cp @ part_pk
    score_k = coalition_ck[-1]
    windows = 90
    fields: dict[str, Any] = {
        "study": "night-1",
        "model": "risky",
        "weights_sha256": WEIGHTS,
        "trained_on": "a cohort",
        "simulated_recording": False,
        "age": 54.0,
        "sex": "female",
        "demographics_left_out": False,
        "conditions": tuple(made_up_conditions(number)),
        "modalities": modalities,
        "players": names,
        "log_hazard_k": score_k,
        "low_k": score_k - 0.2,
        "high_k": score_k + 0.3,
        "coalition_ck": coalition_ck,
        "shapley_pk": part_pk,
        "shapley_low_pk": part_pk - 0.1,
        "shapley_high_pk": part_pk + 0.15,
        "ablation_pk": part_pk,
        "ablation_low_pk": part_pk - 0.1,
        "ablation_high_pk": part_pk + 0.15,
        "window_start_s": 600.0 + 300.0 * np.arange(windows),
        "window_stop_s": 900.0 + 300.0 * np.arange(windows),
        "occlusion_wk": rng.normal(0, 0.02, (windows, number)),
        "demographics_log_hazard_k": base_k,
        "demographics_model": "age-and-sex",
        "start_s": 600.0,
        "stop_s": 600.0 + 300.0 * windows,
        "warnings": (),
    }
    return RiskResult(**{**fields, **changes})


def made_up_conditions(number: int) -> list[Condition]:
    phenotypes = [NAMES[k] if k < 4 else f"{NAMES[k % 4]} {k}" for k in range(number)]
    return [Condition(phecode=f"{100 + k}.{k % 9 + 1}", phenotype=name) for k, name in enumerate(phenotypes)]


def made_up_card(number: int = 4, *, name: str = "risky", hazard: bool = True, **changes: Any) -> ModelCard:
    steps = tuple(tuple(0.01 * (k % 5 + 1) * year for year in YEARS) for k in range(number))
    fields: dict[str, Any] = {
        "name": name,
        "task": Task.DISEASE,
        "architecture": "DiagnosisFinetuneFullLSTMCOXPHWithDemo",
        "parameters": {"embed_dim": 128, "num_classes": number},
        "encoder": EncoderLink(name="encoder", weights_sha256="b" * 64),
        "labels": tuple(made_up_conditions(number)),
        "demographics": DemographicCoding(age_scale=100.0, sex_code={"female": 0.0, "male": 1.0}),
        "baseline_hazard": BaselineHazard(years=YEARS, cumulative=steps) if hazard else None,
        "trained_on": "a cohort",
        "weights_sha256": WEIGHTS,
        "sleepfm_version": "0",
        "imported_at": now(),
    }
    return ModelCard(**{**fields, **changes})


def made_up_reference(number: int = 4) -> Reference:
    """Return reference people: condition 0 beats age and sex, 1 does not, 2 has too few events, 3 was not assessed."""
    people: list[ConditionReference | None] = []
    for k in range(number):
        few = k % 4 == 2
        people.append(
            None
            if k % 4 == 3
            else ConditionReference(
                phecode=made_up_conditions(k + 1)[k].phecode,
                quantiles=tuple(np.linspace(-4, 2, 101).tolist()),
                mean_base=-1.1,
                mean_shapley={Modality.BAS: 0.05, Modality.RESP: -0.02, Modality.EKG: 0.11, Modality.EMG: 0.01},
                n=219,
                events=3 if few else 41,
                c_index=Measured(value=0.74, low=0.68, high=0.8),
                demographics_c_index=Measured(value=0.7, low=0.63, high=0.76),
                difference=Measured(value=0.04, low=-0.01, high=0.09),
                p=None if few else (0.001 if k % 4 == 0 else 0.4),
                few_events=few,
            )
        )
    return Reference(
        weights_sha256=WEIGHTS,
        data="a cohort, test",
        simulated=False,
        people=219,
        conditions=tuple(people),
        ages_sexes=(AgeSex(age=50, sex="female", people=219),),
    )


def made_up_assessment(number: int = 4, **changes: Any) -> Assessment:
    result = made_up_result(number, **changes)
    return Assessment(
        result,
        made_up_card(number),
        made_up_reference(number),
        made_up_card(number, name="age-and-sex"),
        np.arange(1, number + 1),
        number,
    )

"""Made-up test sets and predictions: small, seeded, with a known skill."""

from __future__ import annotations

import numpy as np

from sleepfm.evaluation.held_out import HeldOut
from sleepfm.evaluation.outcomes import Outcomes
from sleepfm.evaluation.settings import EvaluationSettings
from sleepfm.evaluation.staging import StagedNight

N = 24
IDS = tuple(f"night{i:02d}" for i in range(N))
QUICK = EvaluationSettings(resamples=12)


def held_out(seen: tuple[str, ...] | None = (), **changes: object) -> HeldOut:
    rng = np.random.default_rng(0)
    columns = {
        "age": rng.uniform(20, 85, N).round(1),
        "sex": np.array(["female", "male"] * (N // 2)),
        "site": np.array(["A"] * 14 + ["B"] * 8 + ["<script>alert(1)</script>"] * 2),
        "bmi": rng.normal(27, 4, N).round(1),
    }
    known = {
        "recordings": IDS,
        "subjects": tuple(f"person{i // 2:02d}" for i in range(N)),
        "columns": columns,
        "left_out": {"night99": "corrupt <file>"},
        "seen": None if seen is None else frozenset(seen),
        "simulated": True,
        "source": "made-up cohort",
    }
    return HeldOut(**{**known, **changes})


def staged(seed: int = 0, skill: float = 1.0, ids: tuple[str, ...] = IDS, epochs: int = 60) -> dict[str, StagedNight]:
    rng = np.random.default_rng(seed)
    nights = {}
    for name in ids:
        truth_n = rng.choice(5, epochs, p=(0.2, 0.1, 0.4, 0.15, 0.15))
        probability_nk = rng.dirichlet(np.ones(5), epochs)
        probability_nk[np.arange(epochs), truth_n] += skill * rng.random(epochs)
        truth_n[:3] = -1
        nights[name] = StagedNight(truth_n, probability_nk / probability_nk.sum(axis=1, keepdims=True))
    return nights


def followed(conditions: int = 3, n: int = N, seed: int = 0) -> tuple[Outcomes, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    hazard_nk = rng.normal(0, 1, (n, conditions))
    come_nk = rng.exponential(1 / (0.3 * np.exp(hazard_nk)))
    end_nk = rng.uniform(3, 12, (n, 1))
    names = tuple(f"SIM-{k + 1:02d}" for k in range(conditions))
    outcomes = Outcomes(names, np.minimum(come_nk, end_nk), come_nk <= end_nk, np.ones((n, conditions), bool))
    return outcomes, hazard_nk, hazard_nk + rng.normal(0, 2, hazard_nk.shape)

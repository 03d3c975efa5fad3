"""A library of people with made-up risks and a follow-up that the scores of one condition tell something of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sleepfm.library import facts, follow_up
from sleepfm.library.library import Library
from sleepfm.library.risks import store
from sleepfm.models.card import Condition
from tests.library.small_library import add_studies
from tests.viewer.made_up_risk import made_up_result

CONDITIONS = ("SIM-01", "SIM-02", "SIM-03")


def store_risk(library: Library, study: str, log_hazard_k: Sequence[float] | np.ndarray, **changes: object) -> int:
    """Store a risk of a study: the scores with 0.2 on either side, and half of each from age and sex alone."""
    score_k = np.asarray(log_hazard_k, dtype=float)
    person = facts.person(library, study)
    told = {
        "study": study,
        "age": person.age,
        "sex": person.sex,
        "conditions": tuple(Condition(phecode=name, phenotype=name) for name in CONDITIONS),
        "log_hazard_k": score_k,
        "low_k": score_k - 0.2,
        "high_k": score_k + 0.2,
        "demographics_log_hazard_k": score_k / 2,
    }
    result = made_up_result(len(CONDITIONS), **told | changes)
    sha256 = library.study(study).sha256
    assert sha256 is not None
    return store(library, result, {"key": f"{study} {result.weights_sha256}", "source_sha256": sha256})


def followed_library(folder: Path, people: int = 60, seed: int = 0) -> Library:
    """Make the library: studies "n000", "n001", …; each tenth person has a second night, "n000b"."""
    rng = np.random.default_rng(seed)
    library = Library.open(folder / "home")
    studies = [f"n{number:03d}" for number in range(people)]
    again = [f"{study}b" for study in studies[::10]]
    add_studies(library, folder, [*studies, *again])
    score_nk = rng.normal(size=(people, len(CONDITIONS)))
    years_nk = np.minimum(rng.exponential(9 * np.exp(-1.5 * score_nk * np.array([1.0, 0.0, 0.5]))), 40) + 0.05
    end_n = rng.uniform(2, 11, people)
    event_nk = years_nk <= end_n[:, None]
    event_nk[:, 2] = False
    years_nk = np.minimum(years_nk, end_n[:, None])
    for number, study in enumerate([*studies, *again]):
        n = number if number < people else 10 * (number - people)
        library.store_hash(study, f"{number:064d}")
        who = {"subject": f"p{n:03d}", "age": f"{40 + n % 30}", "sex": ("female", "male")[n % 2], "site": "AB"[n % 2]}
        facts.store(library, study, who | {"ahi": f"{10 + n + (number >= people)}"})
        store_risk(library, study, score_nk[n] + (0.3 if number >= people else 0.0))
        outcomes = {name: (bool(event_nk[n, k]), float(years_nk[n, k])) for k, name in enumerate(CONDITIONS)}
        follow_up.store_outcomes(library, {study: outcomes})
    return library

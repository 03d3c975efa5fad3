"""Small disease heads, reference people and nights, for tests of risks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from sleepfm.inference.embedding_files import Embeddings
from sleepfm.inference.risk import RiskModels
from sleepfm.models.card import SIMULATED, Condition, DemographicCoding, EncoderLink, ModelCard, Task
from sleepfm.models.networks import Model
from sleepfm.models.reference import REFERENCE_FILE, AgeSex, ConditionReference, DemographicsLink, Reference
from sleepfm.models.shelf import Shelf
from sleepfm.vocabulary import Modality
from tests.inference.small_models import small_disease_head
from tests.inference.test_heads import night
from tests.models.random_models import DISEASE_CONFIG, random_network

CONDITIONS = tuple(Condition(phecode=f"SIM-0{k}", phenotype=f"condition {k}") for k in range(3))
CODING = DemographicCoding(age_scale=100.0, sex_code={"female": 0.0, "male": 1.0})
PEOPLE = ((40, "female", 2), (60, "male", 1), (75, "female", 1))
TOKENS = 200
"""Four windows, the last of them short."""


def head(kind: str = "lstm", **changes: Any) -> Model:
    """Return a head with random weights: "lstm", "lstm without age and sex", "mlp" or "age and sex"."""
    made = small_disease_head()
    about: dict[str, Any] = {"labels": CONDITIONS, "demographics": CODING}
    config = {"model": made.card.architecture, "model_params": {**DISEASE_CONFIG["model_params"], "max_seq_length": 400}}
    if kind == "lstm without age and sex":
        config["model_params"]["demographics"] = 0
        about["demographics"] = None
    elif kind == "mlp":
        config = {"model": "NightMLP", "model_params": {"embed_dim": 16, "num_classes": 3, "hidden": 8}}
    elif kind == "age and sex":
        config = {"model": "DemographicsHead", "model_params": {"num_classes": 3}}
    card = dict(made.card) | {"architecture": config["model"], "parameters": config["model_params"]} | about | changes
    return Model(ModelCard.model_validate(card), random_network(config, seed=3))


def reference(of: Model, beside: Model | None = None) -> Reference:
    """Return reference people with made-up numbers."""
    condition = {"quantiles": tuple(np.linspace(-3, 3, 101)), "mean_base": 0.1, "mean_shapley": dict.fromkeys(Modality, 0.05)}
    link = None if beside is None else DemographicsLink(name="age-and-sex", weights_sha256=beside.card.weights_sha256)
    return Reference(
        weights_sha256=of.card.weights_sha256,
        data="made up",
        simulated=True,
        people=4,
        conditions=tuple(
            ConditionReference(phecode=one.phecode, n=4, events=2, p=0.01, few_events=False, **condition) for one in CONDITIONS
        ),
        demographics=link,
        ages_sexes=tuple(AgeSex(age=age, sex=sex, people=people) for age, sex, people in PEOPLE),  # type: ignore[arg-type]
    )


def models(of: Model, *, with_reference: bool = False) -> RiskModels:
    beside = head("age and sex")
    return RiskModels(of, reference(of, beside) if with_reference else None, beside if with_reference else None, ())


def answer(of: Model, embeddings: Embeddings, members: tuple[Modality, ...], age: float, sex: str) -> np.ndarray:
    """Return what the head's own forward pass says when it sees only these modalities, in their places."""
    z_bmse = torch.zeros(1, len(Modality), embeddings.n, 16)
    padding_bms = torch.ones(z_bmse.shape[:3], dtype=torch.bool)
    for place, modality in enumerate(Modality):
        if modality in members:
            z_bmse[0, place] = torch.from_numpy(embeddings.rows[modality])
            padding_bms[0, place] = False
    more = (torch.tensor([CODING.encode(age, sex)], dtype=torch.float32),) if of.card.takes_demographics else ()  # type: ignore[arg-type]
    with torch.inference_mode():
        return of.network(z_bmse, padding_bms, *more)[0].numpy()


def a_night(**about: Any) -> Embeddings:
    return night(TOKENS, **about)


def bundle_disease(folder: Path, trained_on: str = SIMULATED, **about: Any) -> Path:
    """Add `demo-disease` with its reference to a folder of models that holds `demo-encoder`, and return it."""
    shelf = Shelf(folder, folder / "nothing came with the software")
    encoder = shelf.get("demo-encoder")
    of = head()
    card = {
        "task": Task.DISEASE,
        "architecture": of.card.architecture,
        "parameters": of.card.parameters,
        "encoder": EncoderLink(name=encoder.name, weights_sha256=encoder.card.weights_sha256),
        "labels": CONDITIONS,
        "demographics": CODING,
        "trained_on": trained_on,
    }
    entry = shelf.add("demo-disease", of.network.state_dict(), card | about)
    made = reference(of).model_copy(update={"weights_sha256": entry.card.weights_sha256})
    (entry.folder / REFERENCE_FILE).write_text(made.model_dump_json())
    return folder

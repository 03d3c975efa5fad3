"""What is asked before a risk is computed: age and sex are told, never guessed, and a model for trying is only ever named."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sleepfm.errors import RequestError
from sleepfm.inference.risk_request import choose_risk_model, require_demographic_players, require_person, sexes_of
from sleepfm.models.card import SIMULATED, DemographicCoding, ModelCard
from sleepfm.models.shelf import Shelf
from tests.inference.risk_material import head

UNKNOWN_TOO = DemographicCoding(age_scale=100.0, sex_code={"female": 0.0, "male": 1.0, "unknown": 0.5})


@pytest.mark.parametrize(
    ("age", "sex", "said"),
    [
        (0, "male", "age 0: give the age at the recording in years, from 1 to 120"),
        (300, "male", "age 300"),
        (-4, "male", "age -4"),
        ("old", "male", "age 'old': give it in years"),
        ("", "male", "age '': give it in years"),
        (float("nan"), "male", "age nan"),
        (True, "male", "age True"),
        (57, "unknown", "no code for it; say female or male"),
        (57, "M\x1b[0m", "say female or male"),
        (None, "male", "say the person's age"),
        (57, None, "say the person's sex"),
        (None, None, "say the person's age and sex"),
    ],
)
def test_what_is_no_age_and_no_sex_is_one_clear_line(age: object, sex: object, said: str) -> None:
    with pytest.raises(RequestError, match=said.replace("(", r"\(")) as found:
        require_person(head().card, age, sex)
    assert "\x1b" not in str(found.value)
    assert "\n" not in str(found.value)


def test_people_are_taken_as_they_are_told() -> None:
    assert require_person(head().card, "57.5", "female") == (57.5, "female")
    assert require_person(head("lstm without age and sex").card, None, None) is None
    assert sexes_of(head().card) == ("female", "male")
    knows_unknown = head(demographics=UNKNOWN_TOO).card
    assert sexes_of(knows_unknown) == ("female", "male", "unknown")
    assert require_person(knows_unknown, 57, "unknown") == (57.0, "unknown")
    assert UNKNOWN_TOO.encode(50, "unknown") == (0.5, 0.5)


def test_age_and_sex_are_players_only_over_reference_people() -> None:
    require_demographic_players(head().card, has_reference=True)
    for of, has_reference, said in (
        (head(), False, "no reference people"),
        (head("lstm without age and sex"), True, "neither age nor sex"),
        (head(demographics=DemographicCoding()), True, "nobody knows"),
    ):
        with pytest.raises(RequestError, match=said):
            require_demographic_players(of.card, has_reference=has_reference)


def put(folder: Path, name: str, **about: Any) -> ModelCard:
    """Write a card without its weights, which choosing does not read."""
    card = ModelCard.model_validate({**dict(head().card), "name": name, "imported_at": datetime.now(UTC), **about})
    (folder / name).mkdir(parents=True)
    (folder / name / "model.json").write_text(card.model_dump_json())
    return card


def test_a_model_is_real_or_named(tmp_path: Path) -> None:
    mine, bundled = tmp_path / "mine", tmp_path / "bundled"
    shelf = Shelf(mine, bundled)
    put(bundled, "demo", trained_on=SIMULATED)
    put(mine, "found", trained_on="unknown")
    put(mine, "stager", task="staging", demographics=None, labels="unknown")
    with pytest.raises(RequestError, match="demo, found"):
        choose_risk_model(shelf, None)
    assert choose_risk_model(shelf, None, simulated_recording=True).name == "found"
    assert choose_risk_model(shelf, "demo").name == "demo"
    with pytest.raises(RequestError, match="for staging"):
        choose_risk_model(shelf, "stager")
    with pytest.raises(RequestError, match="no model named"):
        choose_risk_model(shelf, "nothing")
    put(mine, "alone", encoder=None, baseline=True)
    with pytest.raises(RequestError, match="belongs to no encoder"):
        choose_risk_model(shelf, "alone")
    put(mine, "real", trained_on="SSC")
    assert choose_risk_model(shelf, None).name == "real"

"""What a retired model made stays readable: risks on the risk page, an index on the map."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from make_edf import write_edf
from streamlit.testing.v1 import AppTest
from viewer.made_up_risk import made_up_card, made_up_reference, made_up_result

from sleepfm.library.library import Library
from sleepfm.library.risks import store
from sleepfm.models.card import Task
from sleepfm.models.shelf import Shelf
from sleepfm.viewer.map_encoders import map_encoders
from sleepfm.viewer.risk_choices import model_choices
from sleepfm.viewer.risk_reading import read_beside
from sleepfm.viewer.risk_words import ACCEPT
from tests.models.made_up_cards import put_card, sha256_of

ROOT = Path(__file__).parents[2]
SOURCE = "0" * 64


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))
    with Library.open() as opened:
        study = opened.add(write_edf(tmp_path / "night.edf", seconds=660)).id
        opened.store_hash(study, SOURCE)
        yield opened


def test_a_risk_of_a_retired_model_is_read_with_its_reference_and_the_model_is_not_offered(library: Library) -> None:
    folder = library.home.models / "risky"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(made_up_card(hazard=True, trained_on="a cohort").model_dump_json(), encoding="utf-8")
    (folder / "reference.json").write_text(made_up_reference().model_dump_json(), encoding="utf-8")
    shelf = Shelf(library.home.models)
    result = made_up_result(study="night")
    store(library, result, {"key": "k", "source_sha256": SOURCE})
    assert [one.name for one in model_choices(shelf)] == ["risky"]
    before = read_beside(library, result)
    shelf.retire("risky")
    assert model_choices(shelf) == []
    assessment, notes = read_beside(library, result)
    assert (assessment.card, assessment.reference) == (before[0].card, before[0].reference)
    assert assessment.reference is not None
    assert len(notes) == len(before[1])  # nothing more is missing than before

    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    test.switch_page("pages/risk.py").run()
    next(button for button in test.button if button.label == ACCEPT).click().run()
    assert not test.exception
    assert len(test.dataframe) == 3
    assert [one.options for one in test.selectbox if one.label == "Model"] == [[]]


def test_an_index_of_a_retired_encoder_is_on_the_map_and_says_so(library: Library) -> None:
    put_card(library.home.models, "base", Task.ENCODER)
    put_card(library.home.models, "other", Task.ENCODER)
    for name in ("base", "other"):
        library.connection.execute(
            "INSERT INTO index_blocks (encoder, grain, study, first_row, rows, modalities, source_sha256, embeddings_key,"
            " created_at) VALUES (?, 'window', 'night', 0, 1, 'BAS', ?, 'k', '2026-11-20')",
            (sha256_of(name), SOURCE),
        )
    Shelf(library.home.models).retire("base")
    assert [(one.name, one.label) for one in map_encoders(library)] == [("base", "base (retired)"), ("other", "other")]

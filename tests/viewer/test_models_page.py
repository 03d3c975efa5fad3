"""The models page: what it says of a shelf and of one model, who may act, and that every act is noted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sleepfm.administration import audit
from sleepfm.administration.roles import Role
from sleepfm.library.engines import engine_choices
from sleepfm.library.job_models import FETCH_KIND, IMPORT_KIND
from sleepfm.library.library import Library
from sleepfm.models.card import SIMULATED, Metric, Task
from sleepfm.models.readme import SIMULATED_NOTICE
from sleepfm.models.shelf import Shelf
from sleepfm.runs.table import JobState, Lane
from sleepfm.viewer import signed_in
from sleepfm.viewer.models_figure import quality_figure
from sleepfm.viewer.models_words import card_rows, headline, shelf_rows, training_rows
from tests.models.made_up_cards import put_card

ROOT = Path(__file__).parents[2]
MARKUP = "<img src=x onerror=alert(1)> [a](http://evil) | `x` \u202e **b**"
KAPPA = Metric(name="staging kappa", value=0.7654, low=0.7, high=0.81, n=40, data="held-out nights")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """Give a library with an encoder and two staging heads, one measured, one trained on simulated signals."""
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))
    with Library.open() as opened:
        root = opened.home.models
        put_card(root, "base", training_data=MARKUP, licence=MARKUP, source=MARKUP)
        put_card(root, "measured", Task.STAGING, metrics=(KAPPA, Metric(name="staging macro F1", value=0.6, data=MARKUP)))
        put_card(root, "pretend", Task.STAGING, trained_on=SIMULATED)
        yield opened


def page(model: str | None = None) -> AppTest:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    test.switch_page("pages/models.py")
    if model is not None:
        test.query_params["model"] = model
    test.run()
    assert not test.exception
    return test


def said(test: AppTest) -> str:
    kinds = (test.info, test.warning, test.error, test.success, test.caption, test.markdown)
    return "\n".join(str(one.value) for kind in kinds for one in kind).replace("\\", "")


def press(test: AppTest, label: str) -> AppTest:
    next(button for button in test.button if button.label == label).click()
    test.run()
    assert not test.exception
    return test


def labels(test: AppTest) -> list[str]:
    return [button.label for button in test.button]


def acts(library: Library) -> list[tuple[str, str]]:
    return [(one.action, one.subject) for one in audit.entries(library.connection)][::-1]


def test_the_shelf_is_a_table_with_figures_intervals_and_n(library: Library) -> None:
    shown = page().dataframe[0].value
    assert shown["Model"].tolist() == ["base", "measured", "pretend"]
    assert shown["Measured (interval), n"].tolist() == [
        "not measured",
        "staging kappa 0.765 (0.7 to 0.81), n = 40",
        "not measured",
    ]
    assert shown["Trained on"].tolist() == ["MESA", "MESA", "simulated signals"]
    assert shown["Default"].tolist() == ["by rule", "by rule", ""]
    assert shown["Encoder"].tolist() == ["", "base", "base"]
    assert shown["Weights"].tolist() == [entry.card.weights_sha256[:8] for entry in Shelf(library.home.models).entries()]


@pytest.mark.usefixtures("library")
def test_one_model_in_detail_shows_what_strangers_wrote_as_text() -> None:
    test = page("base")
    rows = [text for one in test.markdown if "Training data" in (text := str(one.value))]
    assert len(rows) == 1
    assert "\\<img src=x" in rows[0]
    assert "[a](http" not in rows[0]
    assert "\u202e" not in rows[0]
    assert "Heads made for it" in said(test)
    assert said(test).count("Neither the card nor a run of this installation says where.") == 1
    table = page("measured").dataframe[1].value
    assert table["Value (interval)"].tolist() == ["0.765 (0.7 to 0.81)", "0.6 (no interval)"]
    assert table["n"].tolist() == ["40", "unknown"]
    assert "\u202e" not in table["On"][1]


@pytest.mark.usefixtures("library")
def test_a_simulated_model_says_so() -> None:
    assert SIMULATED_NOTICE in said(page("pretend"))
    assert SIMULATED_NOTICE not in said(page("measured"))


def test_an_admin_promotes_retires_and_brings_back_and_all_is_noted(library: Library) -> None:
    shelf = Shelf(library.home.models)
    test = press(page("pretend"), "Make it the default")
    assert "pretend is the default for staging." in said(test)
    assert shelf.chosen(Task.STAGING) == "pretend"
    assert [one.model for one in engine_choices(shelf)][2:] == ["measured", "pretend"]
    press(test, "Take the default back")
    assert shelf.chosen(Task.STAGING) is None
    press(test, "Retire it")
    assert [one.model for one in engine_choices(shelf)][2:] == ["measured"]
    assert "Make it the default" not in labels(test)
    assert test.dataframe[0].value["State"].tolist() == ["offered", "offered", "retired"]
    press(test, "Bring it back")
    assert [one.model for one in engine_choices(shelf)][2:] == ["measured", "pretend"]
    assert acts(library) == [
        ("promote model", "pretend"),
        ("take default back", "pretend"),
        ("retire model", "pretend"),
        ("bring model back", "pretend"),
    ]


def test_retiring_an_encoder_names_the_heads_that_rest_with_it(library: Library) -> None:
    test = page("base")
    assert "The heads that need it rest with it: measured, pretend." in said(test)
    press(test, "Retire it")
    assert test.dataframe[0].value["State"].tolist() == ["retired", "its encoder is retired", "its encoder is retired"]
    assert Shelf(library.home.models).pick(Task.STAGING) is None


def test_only_what_nothing_used_can_be_removed(library: Library) -> None:
    test = page("base")
    assert "Remove it for good" in labels(test)  # behind a button that is disabled
    press(test, "Remove it for good")
    assert "base is used by the heads measured and pretend" in said(test)
    assert ("remove model: failed", "base") in acts(library)
    press(page("pretend"), "Remove it for good")
    assert [entry.name for entry in Shelf(library.home.models).entries()] == ["base", "measured"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.SCORER])
def test_who_is_no_admin_sees_nothing_and_changes_nothing(library: Library, monkeypatch: pytest.MonkeyPatch, role: Role) -> None:
    test = page("measured")
    monkeypatch.setattr(signed_in, "current_user", lambda: signed_in.User("eve", role, local=False))
    press(test, "Retire it")  # a page that was open when the role was taken away
    assert not Shelf(library.home.models).is_retired("measured")
    alone = AppTest.from_file(str(ROOT / "pages" / "models.py"), default_timeout=60)
    alone.query_params["model"] = "measured"
    alone.run()
    assert not alone.exception
    assert len(alone.dataframe) == 0
    assert labels(alone) == []
    assert alone.get("download_button") == []
    assert "This asks for the role" in said(alone)


def test_what_could_not_be_imported_is_said_until_it_is_closed(library: Library) -> None:
    job = library.jobs.add(IMPORT_KIND, lane=Lane.QUICK, title="Import the model x", parameters={})
    library.jobs.end(job.id, JobState.FAILED, error="best.pt: refused")
    test = page()
    assert "Import the model x: best.pt: refused" in said(test)
    press(test, "Close")
    assert "refused" not in said(test)


def test_a_running_download_shows_how_far_it_is_and_can_be_cancelled(library: Library) -> None:
    job = library.jobs.add(FETCH_KIND, lane=Lane.HEAVY, title="Fetch", parameters={})
    library.jobs.claim(Lane.HEAVY)
    library.jobs.report(job.id, 0.4, "best.pt: 7.8 MB")
    test = page()
    assert labels(test) == ["Cancel"]
    assert "best.pt: 7.8 MB" in test.get("progress")[0].proto.text.replace("\\", "")
    press(test, "Cancel")
    assert library.jobs.get(job.id).stop_requested


def test_a_name_that_is_not_there_and_an_empty_shelf_are_said(library: Library) -> None:
    assert "No model named <b>x</b> is on the shelf" in said(page("<b>x</b>"))
    for name in ("pretend", "measured", "base"):
        Shelf(library.home.models).remove(name)
    assert "The shelf is empty" in said(page())


def test_a_damaged_card_is_named_and_the_others_are_shown(library: Library) -> None:
    (library.home.models / "broken").mkdir()
    (library.home.models / "broken" / "model.json").write_text("{", encoding="utf-8")
    test = page()
    assert "broken" in said(test)
    assert len(test.dataframe[0].value) == 3


def test_every_figure_stands_on_an_axis_with_its_unit(tmp_path: Path) -> None:
    years = Metric(name="probe age mean absolute error", value=7.4, low=6.5, high=8.4, n=119)
    broken = Metric(name="broken", value=float("inf"))
    figure = quality_figure((KAPPA, years, broken))
    assert figure is not None
    assert [axis.title.text for axis in figure.select_xaxes()] == [
        "share or coefficient (no unit; 1 is best)",
        "error (years)",
    ]
    assert [list(trace.x) for trace in figure.data] == [[0.7654], [7.4]]
    assert figure.data[1].error_x.array[0] == pytest.approx(1.0)
    assert figure.data[1].error_x.arrayminus[0] == pytest.approx(0.9)
    assert "n = 119" in figure.data[1].hovertext[0]
    assert quality_figure(()) is None
    beside = Metric(name="mean C-index <b>", value=0.8, low=0.7, high=0.9, n=9, baseline=0.6)
    compared = quality_figure((beside,))
    assert compared is not None
    assert "&lt;b&gt;" in compared.layout.yaxis.ticktext[0]
    assert list(compared.data[1].x) == [0.6]
    entry = put_card(tmp_path, "x", Task.STAGING, metrics=(beside, KAPPA))
    assert headline(entry.card).startswith("staging kappa 0.765")


def test_a_card_in_words_holds_everything_that_decides(tmp_path: Path) -> None:
    training = {"git": "a" * 40, "machine": "Linux x86_64, 2 cores", "seconds": 544.3, "seed": 3, "subjects": {"train": 310}}
    card = put_card(tmp_path, "base", training=training, licence="MIT").card
    rows = dict(card_rows(card))
    assert rows["BAS"] == "at most 4 channels: EEG, EOG"
    assert rows["Signals"] == "recipe published, 128 Hz, windows of 300 s, tokens of 5 s"
    assert rows["Licence"] == "MIT"
    assert rows["Weights"] == f"SHA-256 {card.weights_sha256}"
    assert dict(training_rows(card)) == {
        "Machine": "Linux x86_64, 2 cores",
        "Duration": "9 min 04 s",
        "Software": f"commit {'a' * 40}",
        "Subjects": "310 in train",
        "Seed": "3",
    }
    coded = put_card(
        tmp_path, "risky", Task.DISEASE, parameters={"embed_dim": 16, "num_layers": 1}, demographics={"age_scale": 100.0}
    ).card  # fmt: skip
    assert dict(card_rows(coded))["Age and sex"].startswith("age / 100 years; sex: coding unknown")
    assert dict(card_rows(coded))["Numbers"] == "16 numbers in an embedding, 1 layer"
    assert [row.name for row in shelf_rows(Shelf(tmp_path, tmp_path / "nothing"))] == ["base", "risky"]

"""What the risk page says where there is nothing to show, or less than usual."""

from __future__ import annotations

from pathlib import Path

import pytest
from make_edf import write_edf
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button
from viewer.made_up_risk import made_up_card, made_up_reference, made_up_result

from sleepfm.inference.risk_result import RiskResult
from sleepfm.library import facts
from sleepfm.library.library import Library
from sleepfm.library.risks import store
from sleepfm.models.card import SIMULATED
from sleepfm.models.reference import DemographicsLink
from sleepfm.runs.table import JobState, Lane
from sleepfm.viewer.risk_reading import read_beside
from sleepfm.viewer.risk_words import ACCEPT

ROOT = Path(__file__).parents[2]
SHA256 = "0" * 64


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))
    return Library.open()


def add_night(library: Library, tmp_path: Path) -> str:
    study = library.add(write_edf(tmp_path / "night.edf", seconds=660))
    library.store_hash(study.id, SHA256)
    return study.id


def put_model(library: Library, *, hazard: bool = True, reference: bool = True, trained_on: str = "a cohort") -> None:
    folder = library.home.models / "risky"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(made_up_card(hazard=hazard, trained_on=trained_on).model_dump_json(), encoding="utf-8")
    if reference:
        (folder / "reference.json").write_text(made_up_reference().model_dump_json(), encoding="utf-8")


def put_result(library: Library, study: str, result: RiskResult | None = None) -> None:
    result = made_up_result(study=study) if result is None else result
    store(library, result, {"key": "k", "source_sha256": SHA256})


def page(*, accept: bool = True) -> AppTest:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    test.switch_page("pages/risk.py").run()
    if accept:
        next(button for button in test.button if button.label == ACCEPT).click().run()
    assert not test.exception
    return test


def said(test: AppTest) -> str:
    return "\n".join(one.value for kind in (test.info, test.warning, test.error, test.caption) for one in kind).replace("\\", "")


def test_no_number_is_shown_before_the_notice_is_accepted(library: Library, tmp_path: Path) -> None:
    put_model(library)
    put_result(library, add_night(library, tmp_path))
    test = page(accept=False)
    assert len(test.dataframe) == len(test.selectbox) == len(test.get("plotly_chart")) == 0
    next(button for button in test.button if button.label == ACCEPT).click().run()
    assert len(test.dataframe) == 3
    assert len(test.get("plotly_chart")) == 3
    shown = test.dataframe[0].value
    assert shown["Beside age and sex"].tolist().count("does not beat age and sex") == 1
    assert len(shown) == 4


@pytest.mark.usefixtures("library")
def test_an_empty_library_leads_to_the_studies() -> None:
    assert "No studies yet" in said(page())


def test_without_a_disease_model_it_says_where_one_comes_from(library: Library, tmp_path: Path) -> None:
    add_night(library, tmp_path)
    test = page()
    assert "no disease model on the shelf" in said(test)
    assert "Assess" not in [button.label for button in test.button]


def test_a_recording_that_is_gone_cannot_be_assessed_and_its_results_stay(library: Library, tmp_path: Path) -> None:
    put_model(library)
    put_result(library, add_night(library, tmp_path))
    (tmp_path / "night.edf").unlink()
    test = page()
    assert "put the file back" in said(test)
    assert next(button for button in test.button if button.label == "Assess").disabled
    assert len(test.dataframe) == 3


@pytest.mark.parametrize("why", ["no baseline hazard", "leaves them out", "no longer on the shelf"])
def test_ranks_only_comes_with_the_reason(library: Library, tmp_path: Path, why: str) -> None:
    study = add_night(library, tmp_path)
    if why != "no longer on the shelf":
        put_model(library, hazard=why != "no baseline hazard")
    put_result(library, study, made_up_result(study=study, demographics_left_out=why == "leaves them out"))
    test = page()
    assert "Ranks only" in said(test)
    assert why in said(test)
    assert not {"Log hazard", "95 % band"} & set(test.dataframe[0].value.columns)
    assert len(test.get("plotly_chart")) == 2  # reasons and night, no curve


def test_a_damaged_reference_costs_only_what_it_would_have_told(library: Library, tmp_path: Path) -> None:
    put_model(library)
    (library.home.models / "risky" / "reference.json").write_text("{", encoding="utf-8")
    put_result(library, add_night(library, tmp_path))
    test = page()
    assert "no reference" in said(test)
    assert "Percentile" not in test.dataframe[0].value.columns
    assert "Log hazard" in test.dataframe[0].value.columns


def test_a_damaged_result_is_named_and_the_page_stands(library: Library, tmp_path: Path) -> None:
    put_model(library)
    study = add_night(library, tmp_path)
    put_result(library, study)
    (damaged,) = library.study_folder(study).glob("risks/*.npz")
    damaged.write_bytes(b"nothing")
    assert f"{damaged}" in said(page())


def test_raw_and_relative_changes_end_at_the_same_score(library: Library, tmp_path: Path) -> None:
    put_model(library)
    put_result(library, add_night(library, tmp_path))
    test = page()
    relative = test.dataframe[2].value["Change of the score"].tolist()
    next(one for one in test.get("button_group") if one.label == "Changes").set_value("Raw").run()
    raw = test.dataframe[2].value["Change of the score"].tolist()
    assert relative[-1] == raw[-1]
    assert relative[0] != raw[0]
    for column in (relative, raw):
        numbers = [float(words.replace("−", "-")) for words in column]
        assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=1e-4)


def test_a_real_night_waits_for_a_simulated_model_to_be_named_and_for_age_and_sex(library: Library, tmp_path: Path) -> None:
    put_model(library, trained_on=SIMULATED)
    study = add_night(library, tmp_path)
    test = page()
    model = next(one for one in test.selectbox if one.label == "Model")
    assert model.value is None
    assert "Assess" not in [button.label for button in test.button]
    assert "choose a model above, then say age and sex above, then press Assess" in said(test)
    model.select_index(0).run()
    assert "means nothing" in test.warning[0].value.replace("\\", "")
    assert "yet: say age and sex above, then press Assess" in said(test)

    def assess() -> Button:
        return next(button for button in test.button if button.label == "Assess")

    assert assess().disabled
    test.number_input[0].set_value(54.0).run()
    assert assess().disabled
    next(one for one in test.selectbox if one.label == "Sex").select("female").run()
    assert not assess().disabled
    for age in (0.0, 300.0):  # what stands on the screen is what is asked with, or nothing is
        test.number_input[0].set_value(age).run()
        assert assess().disabled
        assert f"age {age:g}: give the age at the recording in years, from 1 to 120" in said(test)
    put_result(library, study, made_up_result(study=study, trained_on=SIMULATED))
    assert "means nothing" in page().warning[0].value.replace("\\", "")


def test_what_went_wrong_and_who_is_not_there_is_said(library: Library, tmp_path: Path) -> None:
    put_model(library)
    study = add_night(library, tmp_path)
    job = library.jobs.add("risk", lane=Lane.HEAVY, title="Risk", subject=study, parameters={"study": study})
    library.jobs.end(job.id, JobState.FAILED, error="disk [full]: free some space")
    test = page()
    assert "This night could not be assessed: disk [full]: free some space" in said(test)
    test.query_params["study"] = "nobody"
    assert "no study 'nobody' in the library" in said(test.run())


def test_results_are_offered_newest_first_and_can_be_removed(library: Library, tmp_path: Path) -> None:
    put_model(library)
    study = add_night(library, tmp_path)
    put_result(library, study)
    put_result(library, study, made_up_result(study=study, age=60.0))
    test = page()
    results = next(one for one in test.selectbox if one.label == "Result")
    assert ["60 y" in option for option in results.options] == [True, False]
    next(button for button in test.button if button.label == "Remove this result").click().run()
    results = next(one for one in test.selectbox if one.label == "Result")
    assert ["54 y" in option for option in results.options] == [True]


def test_age_and_sex_come_from_the_cohort_table_or_from_whoever_asks_never_from_elsewhere(
    library: Library, tmp_path: Path
) -> None:
    put_model(library)
    study = add_night(library, tmp_path)
    test = page()
    assert [(one.label, one.value) for one in test.number_input] == [("Age (years)", None)]
    assert next(one for one in test.selectbox if one.label == "Sex").value is None
    facts.store(library, study, {"age": "61", "sex": "f"})
    test.run()
    assert [(one.label, one.value) for one in test.number_input] == [("Age (from the cohort table)", 61.0)]
    assert next(one for one in test.selectbox if one.label == "Sex (from the cohort table)").value == "female"
    test.number_input[0].set_value(62.0).run()
    assert [(one.label, one.value) for one in test.number_input] == [("Age (years)", 62.0)]
    assert not next(button for button in test.button if button.label == "Assess").disabled


def test_a_curve_of_age_and_sex_needs_the_weights_that_made_the_score(library: Library, tmp_path: Path) -> None:
    put_model(library)
    study = add_night(library, tmp_path)
    folder = library.home.models / "age-and-sex"
    folder.mkdir(parents=True)
    card = made_up_card(name="age-and-sex", weights_sha256="c" * 64)
    (folder / "model.json").write_text(card.model_dump_json(), encoding="utf-8")
    for weights, shown in (("c" * 64, True), ("d" * 64, False)):
        link = DemographicsLink(name="age-and-sex", weights_sha256=weights)
        compared = made_up_reference().model_copy(update={"demographics": link})
        (library.home.models / "risky" / "reference.json").write_text(compared.model_dump_json(), encoding="utf-8")
        assessment, notes = read_beside(library, made_up_result(study=study))
        assert (assessment.demographics_curve(0) is not None) is shown
        assert any("has the weights that made its score" in note for note in notes) is not shown

import html.parser
import json
import re

import numpy as np
import pytest

from sleepfm.analysis.estimates import Estimate, undefined
from sleepfm.errors import SleepFMError
from sleepfm.evaluation.disease import baseline_hazards, evaluate_disease
from sleepfm.evaluation.drawing import draw
from sleepfm.evaluation.evaluation import IntervalPlot, MatrixPlot
from sleepfm.evaluation.experiments import label_fractions
from sleepfm.evaluation.page import RESEARCH, SIMULATED, number, page
from sleepfm.evaluation.report import write_report
from sleepfm.evaluation.staging import evaluate_staging, staging_scores
from tests.evaluation.made_up import IDS, QUICK, N, followed, held_out, staged

HOSTILE = '"><script>alert(1)</script>$\\frac{1}{0}$\u202e'


class Reader(html.parser.HTMLParser):
    """What a browser would make of a page: its tags, attributes and text."""

    VOID = frozenset(("meta", "path", "use", "line", "rect", "br"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def disease():
    outcomes, hazard_nk, weak_nk = followed()
    return evaluate_disease(
        held_out(), outcomes, hazard_nk, QUICK, model="m", demographics_nk=weak_nk, hazards=baseline_hazards(outcomes, hazard_nk)
    )


@pytest.fixture(scope="module")
def disease_page(disease):
    return page(disease)


def test_json_and_page_are_written_and_the_json_has_no_nan(tmp_path, disease):
    files = write_report(disease, tmp_path / "deep" / "run")
    stored = json.loads(files.json.read_text("utf-8"), parse_constant=lambda name: pytest.fail(f"{name} in the JSON"))
    assert stored["simulated"] is True
    assert stored["headline"][0]["baseline"]["name"] == "age and sex alone"
    assert stored["data"]["left_out"] == {"night99": "corrupt <file>"}
    assert stored["settings"]["resamples"] == 12
    assert {"c_index", "event_free_0", "roc_0"} <= set(stored["figures"])
    assert files.page.read_text("utf-8").startswith("<!doctype html>")
    assert sorted(p.name for p in files.json.parent.iterdir()) == ["evaluation.html", "evaluation.json"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, disease):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(SleepFMError, match="cannot be written"):
        write_report(disease, tmp_path / "taken")


def test_a_simulated_evaluation_says_so_first(disease_page):
    text = Reader(disease_page).text
    body = text[text.index(SIMULATED) :]
    assert body.startswith(SIMULATED)
    assert body.index(RESEARCH) < body.index("Disease risk")
    real = page(evaluate_staging(held_out(simulated=False), staged(), QUICK, model="m"))
    assert SIMULATED not in real
    assert RESEARCH in Reader(real).text


def test_the_page_needs_nothing_else_and_runs_nothing(disease, disease_page):
    text = disease_page
    found = Reader(text)
    assert not found.open  # everything that was opened is closed
    assert not {"script", "link", "iframe", "img", "image", "object"} & set(found.tags)
    assert not [value for name, value in found.attributes if name.startswith("on")]
    links = [value for name, value in found.attributes if name in ("href", "src", "xlink:href")]
    assert all(link.startswith("#") for link in links)
    assert not re.search(r"url\((?!#)", text)
    assert found.tags.count("svg") == sum(1 for name in disease.as_dict()["figures"])


def test_ids_of_the_figures_are_unique_in_the_page(disease_page):
    ids = [value for name, value in Reader(disease_page).attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_texts_from_files_are_text_everywhere():
    columns = {**held_out().columns, "site": np.array([HOSTILE] * N)}
    test_set = held_out(columns=columns, left_out={HOSTILE: HOSTILE}, source=HOSTILE)
    found = evaluate_staging(test_set, staged(), QUICK, model=HOSTILE, others={HOSTILE + "2": staged(1)})
    found = found.with_sections(
        label_fractions(lambda _: staging_scores(test_set, staged(ids=IDS[:4]), QUICK), plotted="kappa", fractions=(1.0,))
    )
    text = page(found)
    shown = Reader(text)
    assert "script" not in shown.tags
    assert "<script>alert(1)</script>$\\frac{1}{0}$\\u202e" in shown.text
    assert "\u202e" not in text


def test_every_number_has_its_interval_n_and_reason(disease, disease_page):
    text = Reader(disease_page).text
    first = disease.headline[0].estimate
    assert "95 % interval: 12 times" in text
    assert f"{number(first.low)} to {number(first.high)}" in text
    assert f"{first.subjects} people, n = {first.n}" in text
    assert "too small to report: fewer than 5 subjects" in text
    assert "Seen in pretraining" in text


def test_numbers_are_readable():
    cases = {0.12345: "0.123", -0.5: "−0.500", 12.34: "12.34", 1234.56: "1,234.6", 1.1e-5: "0.000011", 0: "0", -1e-15: "0.000"}
    assert {value: number(value) for value in cases} == cases
    assert number(None) == "–"
    assert number(90_000) == "90,000"


def test_figures_show_what_they_were_given():
    svg = draw(MatrixPlot("k", "Confusion", "truth", "model", ("A", "B"), ("A", "B"), np.array([[30, 10], [0, 0]])))
    shown = Reader(svg)
    assert {"30", "10", "75 %", "25 %", "truth", "model"} <= {line.strip() for line in shown.text.splitlines()}
    forest = IntervalPlot(
        "f", "C", "C", (("one", {"m": Estimate(0.7, 0.6, 0.8, 9, 9)}), ("none", {"m": undefined("no", n=0, subjects=0)})), 0.5
    )
    assert "none" in Reader(draw(forest)).text
    assert draw(forest) == draw(forest)

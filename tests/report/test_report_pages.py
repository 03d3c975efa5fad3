"""What stands on the pages of a report, as HTML and as PDF, read by others: html.parser and PDFium."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import date
from html.parser import HTMLParser

import numpy as np
import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.ft2font import FT2Font
from report.made_up_report import EVENTS, MADE_AT, STAGES, report_data, vitals

from sleepfm.analysis.sleep_statistics import night_statistics
from sleepfm.library.ahi_rule import AhiRule
from sleepfm.library.events_by_hand import EventsByHand
from sleepfm.recording.scorings.scoring import Event
from sleepfm.report import content
from sleepfm.report.figures import draw
from sleepfm.report.fonts import drawable, font_file
from sleepfm.report.html import html_report
from sleepfm.report.making import PAPERS
from sleepfm.report.pdf import pdf_report
from sleepfm.report.report_data import ChannelQuality, Standing, State
from sleepfm.text import printable
from sleepfm.vocabulary import Stage

HOSTILE = '<script>alert(1)</script>"><img src=http://e.vil onerror=x>\u202e$\\frac{1}{2}$ 中 Ärger'
VOID = ("meta", "col", "br", "img", "link", "input")


@dataclass
class Read(HTMLParser):
    """A page as a parser sees it."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def read_html(page: str) -> Read:
    read = Read()
    read.feed(page)
    read.close()
    assert read.open == []
    return read


def pdf_pages(content: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(content)
    return [" ".join(document[k].get_textpage().get_text_range().split()) for k in range(len(document))]


@pytest.fixture(scope="module")
def both() -> tuple[Read, list[str]]:
    data = report_data()
    return read_html(html_report(data)), pdf_pages(pdf_report(data))


def test_page_and_paper_say_the_same_numbers(both: tuple[Read, list[str]]) -> None:
    data = report_data()
    wanted = [line.value for group in content.groups(data) for line in group.lines]
    wanted += [line.interval for group in content.groups(data) for line in group.lines if line.interval]
    wanted += [one.text for one in data.statistics.items if one.value is not None]
    assert data.statistics["tst"].text == "100.0 min" in wanted
    assert data.statistics["ahi"].text == "1.2 /h" in wanted
    first, everything = both[1][0], " ".join(both[1])
    for text in wanted:
        assert text in both[0].text, text
        assert text in everything, text
    for text in ("100.0 min", "1.2 /h", "86.0 %", "22:30 to 00:30 (2.0 h)", "22:35", "61 years", "female", "psgscoring 0.37.0"):
        assert text in first, text  # what a physician reads stands on the first page
    assert "Obstructive apnea 1 1 0 20.0 s 20.0 s" in everything
    assert "Arousal 2 1 0 9.0 s 10.0 s" in everything  # marked in every stage, counted once
    assert "Stages set or confirmed 57" in everything


def test_what_is_unknown_is_counted_on_the_first_page_as_in_the_table() -> None:
    data = report_data()
    stages = data.scoring.stages.copy()
    stages[:3] = Stage.UNKNOWN  # before the lights went off
    stages[100:104] = Stage.UNKNOWN
    data = replace(
        data,
        scoring=replace(data.scoring, stages=stages),
        statistics=night_statistics(stages, lights_off_s=90.0, lights_on_s=7000.0),
    )
    lines = [line.value for group in content.groups(data) for line in group.lines if line.name == "Unknown"]
    assert lines == [data.statistics["unknown"].text] == ["2.0 min"]


def test_who_stands_behind_it_is_said_on_every_page(both: tuple[Read, list[str]]) -> None:
    sentence = "Stages proposed by YASA 0.8.1, 43 epochs changed by ada; 50 of 240 epochs set or confirmed by hand."
    assert f"{sentence} Last edit 2026-11-20 06:30 UTC." in both[1][0]
    assert f"{sentence} Last edit 2026-11-20 06:30 UTC." in both[0].text
    assert all("UNSIGNED DRAFT" in page and "nothing here is a diagnosis" in page for page in both[1])


@pytest.mark.parametrize(
    ("standing", "headline", "said"),
    [
        (Standing(State.PROPOSAL, "YASA 0.8.1", by_program=True), "UNSIGNED DRAFT", "proposed by YASA 0.8.1; nobody has"),
        (Standing(State.PROPOSAL, "Scoring n.csv"), "UNSIGNED DRAFT", "as they came: Scoring n.csv; nobody has reviewed"),
        (Standing(State.OPEN, "", scorer="ada"), "UNSIGNED DRAFT", "scored by ada, begun from nothing"),
        (
            Standing(State.REVIEWED, "YASA 0.8.1", scorer="ada", changed_epochs=1),
            "REVIEWED, NOT SIGNED",
            "1 epoch changed by ada",
        ),
        (
            Standing(State.SIGNED, "YASA 0.8.1", scorer="ada", signed_by="ada", signed_at=MADE_AT, sha256="f0" * 32),
            "SIGNED",
            "by ada; 0 of 240 epochs set or confirmed by hand. Content sha256 f0f0",
        ),
        (
            Standing(State.SIGNED, "YASA 0.8.1", scorer="ada", signed_by="ada", signed_at=MADE_AT, sha256="f0" * 32, broken=True),
            "SIGNATURE BROKEN",
            "changed after ada signed it: nobody stands behind this content",
        ),
    ],
)
def test_a_state_has_its_words(standing: Standing, headline: str, said: str) -> None:
    data = report_data(standing=standing)
    assert content.state_headline(data) == headline
    assert said in content.state_sentence(data)


def test_the_first_page_tells_the_rule_of_the_ahi_whose_the_events_are_and_which_doubt_an_interval_is_of() -> None:
    data = report_data(
        ahi_rule=AhiRule("psgscoring 0.37.0", "aasm_v3_breath", "1A: ≥30% flow reduction", 7.0, 2.3, 8.0),
        by_hand=EventsByHand(27, 2, 1, "psgscoring"),
    )
    first, read = pdf_pages(pdf_report(data))[0], read_html(html_report(data))
    for text in (first, read.text):
        assert "AHI by stricter to looser rule 2.3 to 8.0 /h" in text
        assert "Hypopneas by psgscoring 0.37.0, rules aasm_v3_breath: 1A: ≥30% flow reduction." in text
        assert "2 of 27 events made or changed by hand, 1 deleted; the rest are from psgscoring." in text
        assert "95 %, from uncertain stages" in text
    intervals = {line.name: line.interval for group in content.groups(data) for line in group.lines}
    assert intervals["Total sleep time (TST)"]
    assert {intervals[name] for name in ("T90", "Mean SpO2", "Lowest SpO2", "Mean heart rate")} == {""}


def test_the_last_time_is_whole_and_the_rows_of_the_figures_have_names() -> None:
    data = report_data()  # its last mark is at its very end
    figures = draw(data)
    for figure in (figures.night, figures.detail):
        figure.draw_without_rendering()
        last = figure.axes[-1].get_xticklabels()[-1]
        assert last.get_text() == "00:30"
        assert last.get_window_extent().x1 <= figure.bbox.width
    detail = " ".join(text.get_text() for axes in figures.detail.axes for text in axes.texts)
    assert "Body position" in detail
    assert "Quality of each channel by epoch" in detail
    unnamed = report_data(vitals=vitals(7200, position_names={}))
    told = " ".join(text.get_text() for axes in draw(unnamed).detail.axes for text in axes.texts)
    assert "Body position: the file does not name its codes" in told
    assert "does not name its body positions (codes 1, 2): there is no AHI in them" in " ".join(
        night_statistics(STAGES, vitals=unnamed.vitals).remarks
    )


def test_many_words_on_the_first_page_leave_room_for_the_pen() -> None:
    data = report_data(remarks=tuple(f"Remark {k}." for k in range(11)))
    assert "Signature" in pdf_pages(pdf_report(data))[0]


@pytest.mark.parametrize("rows", [3, 9, 14])
def test_a_short_table_stands_on_one_page(rows: int) -> None:
    data = report_data(provenance=tuple((f"row {k} of provenance", "ab" * 32) for k in range(rows)))
    (page,) = (page for page in pdf_pages(pdf_report(data)) if "row 0 of provenance" in page)
    assert all(f"row {k} of provenance" in page for k in range(rows))
    assert "Provenance What With what" in page


def test_nothing_of_the_page_comes_from_elsewhere(both: tuple[Read, list[str]]) -> None:
    tags = both[0].tags
    assert {"script", "link", "iframe", "object", "form", "base"}.isdisjoint(tag for tag, _ in tags)
    policy = next(
        found["content"]
        for tag, found in tags
        if tag == "meta" and "content-security-policy" in found.get("http-equiv", "").lower()
    )
    assert policy.startswith("default-src 'none'")
    references = [value for _, found in tags for name, value in found.items() if name in ("src", "href", "xlink:href")]
    assert references
    assert all(value.startswith(("#", "data:image/png;base64,")) for value in references)
    ids = [found["id"] for _, found in tags if "id" in found]
    assert len(ids) == len(set(ids))
    used = {value[1:] for value in references if value.startswith("#")}
    used |= {one for _, found in tags for value in found.values() for one in re.findall(r"url\(#([^)]*)\)", value)}
    assert used <= set(ids)


def test_the_font_is_in_the_pdf_and_the_paper_is_as_asked() -> None:
    data = report_data(provenance=(("Unit", "µV ≥ é −"),))
    figures = draw(data)
    made = {paper: pdf_report(data, figures, paper=paper) for paper in PAPERS}
    sizes = {paper: pypdfium2.PdfDocument(found)[0].get_size() for paper, found in made.items()}
    assert sizes["a4"] == pytest.approx((595.3, 841.9), abs=1)
    assert sizes["letter"] == pytest.approx((612, 792), abs=1)
    for found in made.values():
        fonts = set(re.findall(rb"/BaseFont /(?:[A-Z]{6}\+)?([A-Za-z-]+)", found))
        assert fonts
        assert all(font.startswith(b"DejaVu") for font in fonts)
        assert b"/FontFile2" in found
        assert "µV ≥ é −" in " ".join(pdf_pages(found))
        assert "Signature" in pdf_pages(found)[0]  # room for a pen on the page that is signed


def test_every_page_says_that_it_is_simulated() -> None:
    data = report_data(facts=replace(report_data().facts, simulated=True))
    pages = pdf_pages(pdf_report(data))
    assert len(pages) > 2
    assert all("SIMULATED RECORDING" in page for page in pages)
    read = read_html(html_report(data))
    assert read.text.count("SIMULATED RECORDING") >= len(content.tables(data)) + 2
    model = report_data(simulated_models=("demo-staging",))
    assert content.simulated_words(model) == "SIMULATED MODEL"
    assert "demo-staging" in content.simulated_sentence(model)
    assert content.simulated_words(report_data()) == ""


def test_hostile_labels_are_only_words() -> None:
    base = report_data()
    flags = np.zeros(len(STAGES), np.uint8)
    data = replace(
        base,
        facts=replace(base.facts, study=HOSTILE),
        standing=Standing(State.OPEN, HOSTILE, scorer=HOSTILE, edits={HOSTILE: 1}),
        quality=tuple(ChannelQuality(f"{HOSTILE} {k}", "EEG", flags, HOSTILE, bad=k == 30) for k in range(31)),
        spectrum=replace(base.spectrum, label=HOSTILE, unit=HOSTILE),
        vitals=vitals(len(STAGES) * 30, position_names={1: HOSTILE}),
        simulated_models=(HOSTILE,),
        remarks=(HOSTILE,),
        events_by=HOSTILE,
        provenance=((HOSTILE, HOSTILE),),
    )
    page = html_report(data)
    read = read_html(page)
    assert {"script", "img"}.isdisjoint(tag for tag, _ in read.tags)
    assert not [name for _, found in read.tags for name in found if name.startswith("on")]
    assert "\u202e" not in page
    told = '<script>alert(1)</script>"><img src=http://e.vil onerror=x>\\u202e$\\frac{1}{2}$ \\u4e2d Ärger'
    assert told in read.text
    assert told.replace(" ", "")[:40] in "".join(pdf_pages(pdf_report(data))).replace(" ", "")
    shown = [one.label for one in data.quality if one.bad]
    assert drawable(shown[0])[:17] in read.text  # of many channels the bad ones are drawn first


_NO_REM = np.where(STAGES == Stage.REM, np.int8(Stage.N2), STAGES)
_AWAKE = np.zeros(240, np.int8)
_UNKNOWN = np.full(240, -1, np.int8)


@pytest.mark.parametrize(
    ("stages", "events", "has_vitals", "said"),
    [
        (_NO_REM, EVENTS, True, "REM latency"),
        (_AWAKE, EVENTS, True, "None:"),
        (_UNKNOWN, (), False, "None:"),
        (STAGES, (), False, "Not in this recording or scoring: oxygen saturation, heart rate, body position"),
        (STAGES[:1], (), True, "None:"),
        (STAGES, (Event(-5.0, 20.0, "Hypopnea"), Event(99_000.0, 99_010.0, "Arousal")), True, "Hypopnea"),
    ],
)
def test_a_night_that_lacks_things_says_so(stages: np.ndarray, events: tuple[Event, ...], has_vitals: bool, said: str) -> None:
    data = report_data(stages=stages, events=events, has_vitals=has_vitals)
    text = read_html(html_report(data)).text
    assert said in text
    for one in data.statistics.items:
        if one.value is None:
            assert one.why_none  # a dash never stands without its reason
    assert "nan" not in text.casefold().split()
    if not has_vitals:
        assert len(pdf_pages(pdf_report(data))) >= 2


def test_the_range_of_the_ahi_names_its_bounds() -> None:
    for count, words in ((0, "below 5/h"), (10, "mild range: 5 to below 15/h"), (50, "severe range: 30/h and above")):
        marked = tuple(Event(1300.0 + 90 * k, 1315.0 + 90 * k, "Hypopnea") for k in range(count))
        data = report_data(events=(*EVENTS, *marked))
        assert words in content.ahi_sentence(data)
        assert "AASM Task Force, Sleep 1999;22:667" in content.ahi_sentence(data)
    assert content.ahi_sentence(report_data(events=())) == ""


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (4.94, "4.9 /h: below 5/h"),
        (4.96, "5.0 /h: mild"),
        (14.96, "15.0 /h: moderate"),
        (29.94, "29.9 /h: moderate"),
        (29.96, "30.0 /h: severe"),
    ],
)
def test_the_range_is_of_the_ahi_as_it_is_printed(value: float, words: str) -> None:
    data = report_data()
    items = tuple(replace(one, value=value) if one.key == "ahi" else one for one in data.statistics.items)
    assert content.ahi_sentence(replace(data, statistics=replace(data.statistics, items=items))).startswith(f"AHI {words}")


def test_a_crowd_of_events_does_not_make_a_large_page() -> None:
    rng = np.random.default_rng(1)
    starts = np.sort(rng.uniform(300, 7000, 4000))
    data = report_data(events=tuple(Event(float(at), float(at) + 5, "Leg movement") for at in starts))
    assert len(html_report(data)) < 1_500_000


def test_an_identified_report_names_the_day_and_an_old_age_is_only_told_there() -> None:
    facts = replace(report_data().facts, age=93.0)
    assert ("Age", "over 89 years") in content.facts(report_data(facts=facts))
    named = content.facts(report_data(facts=replace(facts, start_date=date(2020, 1, 2), patient="X F X Haagse_Harry")))
    assert {("Age", "93 years"), ("Recorded on", "2020-01-02"), ("Patient field", "X F X Haagse_Harry")} <= set(named)


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_what_is_drawn_is_in_the_font_and_visible(text: str) -> None:
    known = FT2Font(str(font_file())).get_charmap()
    drawn = drawable(text)
    assert all(one == " " or ord(one) in known for one in drawn)
    assert drawable(drawn) == drawn
    assert printable(drawn) == drawn

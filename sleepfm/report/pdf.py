"""A report as PDF, for paper: the first page is what a physician reads, the rest is what it rests on."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal, cast

import sleepfm
from sleepfm.report import content
from sleepfm.report.content import Group, Table
from sleepfm.report.figures import Figures, draw, png
from sleepfm.report.fonts import font_file
from sleepfm.report.report_data import ReportData

if TYPE_CHECKING:
    from fpdf import FPDF
    from matplotlib.figure import Figure

Paper = Literal["a4", "letter"]
MARGIN_MM = 14.0
INK, QUIET, LINE, SOFT = (31, 41, 51), (91, 102, 115), (205, 211, 218), (246, 247, 249)
DRAFT, SIGNED, WARNING = (179, 64, 42), (47, 107, 60), (138, 101, 0)
_SMALL, _BODY = 7.5, 8.5
_PEN_MM, _WRITING_MM, _CAPTION_MM = 14.0, 8.0, 16.0
_LEAST_SCALE = 0.75
_TABLE_MM, _ROW_MM, _PADDING = 42.0, 3.7, (0.7, 3.0, 0.7, 0.0)
_KEPT_TOGETHER = 0.33
"""Tables up to this share of a page stand on one."""


def pdf_report(data: ReportData, figures: Figures | None = None, *, paper: Paper = "a4") -> bytes:
    """Return a report as a PDF file with its font in it; the header of every page says whether it is signed and simulated.

    Parameters
    ----------
    figures
        What `figures.draw` drew of the same data; drawn here unless given.
    """
    figures = figures or draw(data)
    pdf = _document(data, paper)
    pdf.add_page()
    _first_page(pdf, data)
    _picture(pdf, figures.night, below_mm=_PEN_MM + 1)
    together = _height(pdf, figures.detail) + _CAPTION_MM + _PEN_MM < _room(pdf)
    if together:
        _detail(pdf, data, figures)
    _pen(pdf)
    pdf.add_page()
    if not together:
        _detail(pdf, data, figures)
    for table in content.tables(data):
        _table(pdf, table)
    return bytes(pdf.output())


def _document(data: ReportData, paper: Paper) -> FPDF:
    from fpdf import FPDF

    class Document(FPDF):
        """Pages with the study and its state above, and what the report is not below."""

        def header(self) -> None:
            _page_header(self, data)

        def footer(self) -> None:
            self.set_y(-11)
            self.set_font("DejaVu", size=6.5)
            self.set_text_color(*QUIET)
            self.cell(self.epw * 0.86, 4, content.RESEARCH)
            self.cell(0, 4, f"page {self.page_no()} of {{nb}}", align="R")

    pdf = Document(format=paper)
    pdf.set_margins(MARGIN_MM, 10, MARGIN_MM)
    pdf.c_margin = 0.0  # texts begin where lines and boxes do
    pdf.set_auto_page_break(True, 14)  # noqa: FBT003 - fpdf2's own signature
    for style, file in (("", ""), ("B", "Bold"), ("I", "Oblique")):
        pdf.add_font("DejaVu", style, str(font_file(file)))
    pdf.set_title(content.title(data))
    pdf.set_creator(f"SleepFM Workbench {sleepfm.__version__}")
    pdf.set_producer(f"SleepFM Workbench {sleepfm.__version__}")
    pdf.set_creation_date(data.made_at)
    pdf.set_lang("en")
    return pdf


def _page_header(pdf: FPDF, data: ReportData) -> None:
    large = content.simulated_words(data)
    pdf.set_text_color(*QUIET)
    pdf.set_font("DejaVu", size=_SMALL)
    pdf.cell(pdf.epw * 0.6, 4.5, f"Polysomnography report · {content.title(data)}"[:90])
    pdf.set_text_color(*(SIGNED if data.standing.signed else DRAFT))
    pdf.set_font("DejaVu", "B", _BODY)
    pdf.cell(0, 4.5, content.state_headline(data), align="R", new_x="LMARGIN", new_y="NEXT")
    if large:
        pdf.set_text_color(*WARNING)
        pdf.set_font("DejaVu", "B", 17)
        pdf.cell(0, 8, large, align="C", new_x="LMARGIN", new_y="NEXT")
    pdf.set_draw_color(*LINE)
    pdf.line(pdf.l_margin, pdf.get_y() + 0.6, pdf.w - pdf.r_margin, pdf.get_y() + 0.6)
    pdf.ln(2.2)


def _first_page(pdf: FPDF, data: ReportData) -> None:
    pdf.set_text_color(*INK)
    pdf.set_font("DejaVu", "B", 15)
    pdf.multi_cell(0, 7, content.title(data), new_x="LMARGIN", new_y="NEXT")
    _state(pdf, data)
    _small(pdf, content.simulated_sentence(data))
    _facts(pdf, content.facts(data))
    for remark in content.remarks(data):
        _small(pdf, f"• {remark}")
    pdf.ln(1)
    _groups(pdf, content.groups(data))
    _small(pdf, content.ahi_sentence(data))
    _small(pdf, content.rule_sentence(data))
    _small(pdf, data.statistics.intervals)
    pdf.ln(1)


def _state(pdf: FPDF, data: ReportData) -> None:
    colour = SIGNED if data.standing.signed else DRAFT
    inside = 3.0
    top = pdf.get_y() + 1
    pdf.set_xy(pdf.l_margin + inside, top + 1)
    pdf.set_text_color(*colour)
    pdf.set_font("DejaVu", "B", 10)
    pdf.cell(0, 5, content.state_headline(data))
    pdf.set_xy(pdf.l_margin + inside, top + 6)
    pdf.set_text_color(*INK)
    pdf.set_font("DejaVu", size=_BODY)
    pdf.multi_cell(pdf.epw - 2 * inside, 4, content.state_sentence(data), align="L", new_x="LMARGIN", new_y="NEXT")
    pdf.set_draw_color(*colour)
    pdf.set_line_width(0.5)
    pdf.rect(pdf.l_margin, top, pdf.epw, pdf.get_y() - top + 1.2)
    pdf.set_line_width(0.2)
    pdf.set_y(pdf.get_y() + 2.6)


def _facts(pdf: FPDF, pairs: tuple[tuple[str, str], ...]) -> None:
    """Write names over values, as many beside each other as there is room for."""
    columns = 5
    width = pdf.epw / columns
    for first in range(0, len(pairs), columns):
        row = pairs[first : first + columns]
        top = pdf.get_y()
        lowest = top
        for k, (name, value) in enumerate(row):
            pdf.set_xy(pdf.l_margin + k * width, top)
            pdf.set_text_color(*QUIET)
            pdf.set_font("DejaVu", size=6.5)
            pdf.cell(width, 3.2, name, new_x="LEFT", new_y="NEXT")
            pdf.set_text_color(*INK)
            pdf.set_font("DejaVu", size=_BODY)
            pdf.multi_cell(width - 2, 4, value, align="L", new_x="LMARGIN", new_y="NEXT")
            lowest = max(lowest, pdf.get_y())
        pdf.set_y(lowest + 1)


def _groups(pdf: FPDF, groups: tuple[Group, ...]) -> None:
    """Write the main numbers in two columns: the first half of the groups on the left."""
    between = 8.0
    width = (pdf.epw - between) / 2
    top, lowest = pdf.get_y(), pdf.get_y()
    half = len(groups) // 2
    for left, column in ((pdf.l_margin, groups[:half]), (pdf.l_margin + width + between, groups[half:])):
        pdf.set_y(top)
        for group in column:
            pdf.set_x(left)
            _one_group(pdf, group, left, width)
            pdf.ln(1.6)
        lowest = max(lowest, pdf.get_y())
    pdf.set_y(lowest)


def _one_group(pdf: FPDF, group: Group, left: float, width: float) -> None:
    pdf.set_text_color(*INK)
    pdf.set_font("DejaVu", "B", _BODY)
    pdf.cell(width * 0.6, 4.6, group.title)
    pdf.set_text_color(*QUIET)
    pdf.set_font("DejaVu", size=6.5)
    pdf.cell(width * 0.4, 4.6, content.interval_heading(group), align="R", new_x="LMARGIN", new_y="NEXT")
    pdf.set_draw_color(*LINE)
    for line in group.lines:
        pdf.set_x(left)
        pdf.set_text_color(*INK)
        pdf.set_font("DejaVu", size=8)
        pdf.cell(width * 0.47, 4.2, line.name, border="T")
        pdf.set_font("DejaVu", "B", 8)
        pdf.cell(width * 0.28, 4.2, line.value, border="T", align="R")
        pdf.set_text_color(*QUIET)
        pdf.set_font("DejaVu", size=7)
        pdf.cell(width * 0.25, 4.2, line.interval, border="T", align="R", new_x="LMARGIN", new_y="NEXT")
    if group.note:
        pdf.set_x(left)
        pdf.set_text_color(*QUIET)
        pdf.set_font("DejaVu", size=7)
        pdf.multi_cell(width, 3.5, group.note, align="L", new_x="LMARGIN", new_y="NEXT")


def _detail(pdf: FPDF, data: ReportData, figures: Figures) -> None:
    pdf.ln(1)
    _picture(pdf, figures.detail)
    for words in (content.detail_caption(data), content.absent(data)):
        _small(pdf, words)
    pdf.ln(2)


def _room(pdf: FPDF) -> float:
    """Return what is left of the page, in mm."""
    return float(pdf.page_break_trigger - pdf.get_y())


def _height(pdf: FPDF, figure: Figure) -> float:
    """Return how high a figure is on paper, in mm."""
    width_in, height_in = figure.get_size_inches()
    return float(pdf.epw * height_in / width_in)


def _picture(pdf: FPDF, figure: Figure, *, below_mm: float = 0.0) -> None:
    """Draw a figure on this page, a little smaller where there are many words above; on the next where it would be tiny.

    What is wanted below it is left free where the figure does not become too small by that.
    """
    height = _height(pdf, figure)
    if _room(pdf) < _LEAST_SCALE * height:
        pdf.add_page()
    room = _room(pdf) - below_mm
    scale = min(1.0, (room if room >= _LEAST_SCALE * height else _room(pdf)) / height)
    pdf.image(io.BytesIO(png(figure)), x=pdf.l_margin + pdf.epw * (1 - scale) / 2, w=pdf.epw * scale, h=height * scale)


def _pen(pdf: FPDF) -> None:
    """Leave room for a physician's pen at the foot of the page, where there is any."""
    if _room(pdf) < _PEN_MM:
        return
    foot = pdf.page_break_trigger - 10
    pdf.set_draw_color(*LINE)
    pdf.set_text_color(*QUIET)
    pdf.set_font("DejaVu", size=7)
    lines = min(6, int((foot - pdf.get_y() - 5) // _WRITING_MM))
    if lines > 0:
        first = foot - lines * _WRITING_MM
        pdf.text(pdf.l_margin, first - 3.6, "Interpretation")
        for k in range(lines):
            pdf.line(pdf.l_margin, first + k * _WRITING_MM, pdf.w - pdf.r_margin, first + k * _WRITING_MM)
    pdf.set_draw_color(*QUIET)
    left = pdf.l_margin
    for words, share in (("Interpreted by", 0.4), ("Date", 0.2), ("Signature", 0.34)):
        pdf.line(left, foot + 3, left + pdf.epw * share, foot + 3)
        pdf.text(left, foot + 6.4, words)
        left += pdf.epw * (share + 0.03)


def _small(pdf: FPDF, words: str) -> None:
    if words:
        pdf.set_text_color(*QUIET)
        pdf.set_font("DejaVu", size=_SMALL)
        pdf.multi_cell(0, 3.7, words, align="L", new_x="LMARGIN", new_y="NEXT")


def _table(pdf: FPDF, table: Table) -> None:
    from fpdf.enums import TableBordersLayout, WrapMode
    from fpdf.fonts import FontFace

    needed = _table_height(pdf, table)
    # a table is not torn for a few rows; a long one does not begin with one row at the foot of a page
    if _room(pdf) < min(needed, _TABLE_MM) or _room(pdf) < needed < _KEPT_TOGETHER * pdf.eph:
        pdf.add_page()
    pdf.ln(2)
    pdf.set_text_color(*INK)
    pdf.set_font("DejaVu", "B", 10)
    pdf.cell(0, 6, table.title, new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("DejaVu", size=_SMALL)
    pdf.set_draw_color(*LINE)
    with pdf.table(
        col_widths=table.shares,
        width=pdf.epw * sum(table.shares),
        align="L",
        text_align=tuple("RIGHT" if k in table.numbers else "LEFT" for k in range(len(table.columns))),
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        headings_style=FontFace(emphasis="BOLD", color=INK, fill_color=SOFT),
        line_height=_ROW_MM,
        padding=_PADDING,
        v_align="TOP",
        wrapmode=WrapMode.WORD,
    ) as drawn:
        for row in (table.columns, *table.rows):
            drawn.row(row)
    if table.note:
        pdf.ln(0.8)
        _small(pdf, table.note)
    pdf.ln(1.5)


def _table_height(pdf: FPDF, table: Table) -> float:
    """Return how high a table is with its title and note, in mm, if nothing breaks it."""
    from fpdf.enums import MethodReturnValue

    height = 2 + 6 + 1.5
    for row in (table.columns, *table.rows):
        pdf.set_font("DejaVu", "B" if row is table.columns else "", _SMALL)
        cells = [
            pdf.multi_cell(pdf.epw * share - _PADDING[1], _ROW_MM, cell, dry_run=True, output=MethodReturnValue.HEIGHT)
            for cell, share in zip(row, table.shares, strict=True)
        ]
        height += max(cast("float", one) for one in cells) + _PADDING[0] + _PADDING[2]
    return height + (_ROW_MM * (1 + len(table.note) // 120) + 0.8 if table.note else 0.0)

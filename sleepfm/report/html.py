"""A report as one self-contained page: no script, nothing from the network, the same on paper."""

from __future__ import annotations

from html import escape

from sleepfm import __version__
from sleepfm.report import content
from sleepfm.report.content import Group, Table
from sleepfm.report.figures import Figures, draw, svg
from sleepfm.report.html_style import STYLE
from sleepfm.report.report_data import ReportData

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a browser may do with the page: show it. No script runs, and nothing is fetched or sent."""


def html_report(data: ReportData, figures: Figures | None = None) -> str:
    """Return a report as one HTML file.

    All text is escaped, the figures are part of the page as SVG, and the page's own policy lets nothing run or load.

    Parameters
    ----------
    figures
        What `figures.draw` drew of the same data; drawn here unless given.
    """
    figures = figures or draw(data)
    large = content.simulated_words(data)
    parts = [
        f'<p class="simulated"><b>{escape(large)}</b> {escape(content.simulated_sentence(data))}</p>' if large else "",
        f'<div class="mark" aria-hidden="true">{escape(large)}</div>' if large else "",  # on every sheet of paper
        _head(data),
        _facts(data),
        _list("remarks", content.remarks(data)),
        '<section class="groups">' + "".join(_group(group) for group in content.groups(data)) + "</section>",
        _paragraph("ahi", content.ahi_sentence(data)),
        _paragraph("quiet", content.rule_sentence(data)),
        _paragraph("quiet", data.statistics.intervals),
        _figure(svg(figures.night, "night"), "Hypnogram, events and oxygen saturation over the night", ""),
        _figure(svg(figures.detail, "detail"), "Signals over the night", content.detail_caption(data), large=large),
        _paragraph("quiet", content.absent(data)),
        *(_table(table, large=large) for table in content.tables(data)),
        f"<footer>{escape(content.RESEARCH)} Made {escape(content.moment(data.made_at))} by SleepFM Workbench"
        f" {escape(__version__)}.</footer>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="referrer" content="no-referrer"><meta name="viewport" content="width=device-width, initial-scale=1">'
        # browsers print the title on every sheet, and some of them the running heads too
        f"<title>{escape(' · '.join(one for one in (content.title(data), content.state_headline(data), large) if one))}</title>"
        f"<style>{STYLE}{_running_heads(data)}</style></head>\n<body><main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main></body></html>\n"
    )


def _running_heads(data: ReportData) -> str:
    """Return what stands on every sheet of paper: which study it is, what its state is, and which sheet of how many."""
    left, right, below = (
        _css_string(text)
        for text in (f"Polysomnography report · {content.title(data)}", content.state_headline(data), content.RESEARCH)
    )
    look = "font:8pt system-ui,sans-serif;color:#5b6673"
    return (
        f"@page{{@top-left{{content:{left};{look}}}@top-right{{content:{right};{look};font-weight:700}}"
        f"@bottom-left{{content:{below};{look}}}"
        f'@bottom-right{{content:"page " counter(page) " of " counter(pages);{look}}}}}'
    )


def _css_string(text: str) -> str:
    """Return a text as a string of CSS in which nothing but its letters has a meaning, whatever it holds."""
    return '"' + "".join(letter if letter.isalnum() or letter in " .,;·-_" else f"\\{ord(letter):x} " for letter in text) + '"'


def _head(data: ReportData) -> str:
    tone = "signed" if data.standing.signed else "draft"
    return (
        f"<header><div><p>Polysomnography report</p><h1>{escape(content.title(data))}</h1></div>"
        f'<p class="state {tone}"><b>{escape(content.state_headline(data))}</b>'
        f"{escape(content.state_sentence(data))}</p></header>"
    )


def _facts(data: ReportData) -> str:
    pairs = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in content.facts(data))
    return f"<dl>{pairs}</dl>"


def _list(kind: str, items: tuple[str, ...]) -> str:
    return f'<ul class="{kind}">{"".join(f"<li>{escape(item)}</li>" for item in items)}</ul>' if items else ""


def _paragraph(kind: str, text: str) -> str:
    return f'<p class="{kind}">{escape(text)}</p>' if text else ""


def _group(group: Group) -> str:
    rows = "".join(
        f"<tr><th>{escape(line.name)}</th><td>{escape(line.value)}</td><td><i>{escape(line.interval)}</i></td></tr>"
        for line in group.lines
    )
    over = content.interval_heading(group)
    heading = f"<h2>{escape(group.title)}{f'<i>{escape(over)}</i>' if over else ''}</h2>"
    return f"<article>{heading}<table>{rows}</table>{_paragraph('quiet', group.note)}</article>"


def _figure(drawn: str, name: str, caption: str, *, large: str = "") -> str:
    again = f'<p class="again">{escape(large)}</p>' if large else ""
    words = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure>{again}<div role="img" aria-label="{escape(name)}">{drawn}</div>{words}</figure>'


def _table(table: Table, *, large: str) -> str:
    def kind(k: int) -> str:
        return ' class="number"' if k in table.numbers else ""

    again = f'<p class="again">{escape(large)}</p>' if large else ""
    widths = "".join(f'<col style="width:{100 * share:.0f}%">' for share in table.shares)
    head = "".join(f"<th{kind(k)}>{escape(name)}</th>" for k, name in enumerate(table.columns))
    rows = "".join(f"<tr>{''.join(f'<td{kind(k)}>{escape(cell)}</td>' for k, cell in enumerate(row))}</tr>" for row in table.rows)
    width = f' style="width:{100 * sum(table.shares):.0f}%"'
    return (
        f'<section class="table">{again}<h2>{escape(table.title)}</h2><table{width}><colgroup>{widths}</colgroup>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{_paragraph('quiet', table.note)}</section>"
    )

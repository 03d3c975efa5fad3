"""An evaluation as one self-contained page: no script, nothing from the network, readable on paper."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape

from sleepfm import __version__
from sleepfm.analysis.estimates import Estimate
from sleepfm.evaluation.drawing import draw
from sleepfm.evaluation.evaluation import (
    Cell,
    Evaluation,
    Figure,
    Headline,
    IntervalPlot,
    LinePlot,
    MatrixPlot,
    PValue,
    Section,
    Table,
)
from sleepfm.evaluation.page_style import STYLE
from sleepfm.text import printable

SIMULATED = (
    "Simulated data. These signals never came from a person: the numbers say how the software works, nothing about patients."
)
RESEARCH = "For research use. Not a medical device; nothing here is a diagnosis."
_MOST_ROWS = 300
_KINDS: dict[type, str] = {LinePlot: "small", MatrixPlot: "matrix", IntervalPlot: "wide"}


def page(evaluation: Evaluation) -> str:
    """Return the HTML of an evaluation."""
    title = f"{evaluation.title}: {evaluation.model}"
    simulated = f'<p class="simulated">{_text(SIMULATED)}</p>' if evaluation.simulated else ""
    body = [
        simulated,
        f'<p class="research">{_text(RESEARCH)}</p>',
        f"<header><p>Evaluation</p><h1>{_text(evaluation.title)}</h1>{_facts(evaluation)}</header>",
        _warnings(evaluation.warnings),
        _headlines(evaluation.headline),
        _reading(evaluation),
        _contents(evaluation.sections),
        *(_section(number, section) for number, section in enumerate(evaluation.sections, start=1)),
        _left_out(evaluation),
        _settings(evaluation),
        f"<footer>SleepFM Workbench {_text(__version__)}. {_text(RESEARCH)}</footer>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main></body></html>\n"
    )


def _text(value: object) -> str:
    return escape(printable(str(value)))


def _facts(evaluation: Evaluation) -> str:
    data = evaluation.data
    facts = [
        ("Model", evaluation.model),
        ("Test data", data.source or "not stated"),
        ("Tested", f"{data.recordings:,} recordings of {data.subjects:,} people"),
        ("Left out", f"{len(data.left_out):,} recordings" if data.left_out else "nothing"),
        ("Seen in pretraining", "not known" if data.seen is None else f"{len(data.seen):,} recordings" if data.seen else "none"),
    ]
    return "<dl>" + "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in facts) + "</dl>"


def _warnings(warnings: Iterable[str]) -> str:
    items = "".join(f"<li>{_text(_sentence(warning))}</li>" for warning in warnings)
    return f'<section class="warnings"><h2>Read this first</h2><ul>{items}</ul></section>' if items else ""


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith('.') else '.'}" if text else text


def _headlines(headlines: Iterable[Headline]) -> str:
    return '<section class="cards">' + "".join(_card(headline) for headline in headlines) + "</section>"


def _card(headline: Headline) -> str:
    estimate = headline.estimate
    lines = [f'<p class="name">{_text(headline.name)}</p>', f'<p class="big">{_text(number(estimate.value))}</p>']
    if estimate.low is not None and estimate.high is not None:
        lines.append(f'<p class="interval">{_text(number(estimate.low))} to {_text(number(estimate.high))}</p>')
    if estimate.reason:
        lines.append(f'<p class="quiet">{_text(estimate.reason)}</p>')
    if headline.baseline is not None:
        lines.append(f'<p class="baseline">{_text(headline.baseline_name)}: <b>{_text(number(headline.baseline.value))}</b></p>')
    if headline.chance is not None:
        lines.append(f'<p class="quiet">chance: {_text(number(headline.chance))}</p>')
    lines.append(
        f'<p class="quiet">{_text(headline.meaning)}</p><p class="quiet">{estimate.subjects:,} people, n = {estimate.n:,}</p>'
    )
    return "<article>" + "".join(lines) + "</article>"


def _reading(evaluation: Evaluation) -> str:
    resamples, confidence = evaluation.settings.get("resamples"), evaluation.settings.get("confidence")
    if not isinstance(resamples, int) or not isinstance(confidence, float) or not resamples:
        return ""
    return (
        f'<p class="reading">Numbers are followed by their {100 * confidence:g} % interval: {resamples:,} times, as many people '
        "were drawn anew from those tested, with all their data. Small raised figures point to the remarks below a table.</p>"
    )


def _contents(sections: tuple[Section, ...]) -> str:
    links = "".join(f'<a href="#part-{number}">{_text(section.title)}</a>' for number, section in enumerate(sections, start=1))
    return f"<nav>{links}</nav>"


def _section(number_: int, section: Section) -> str:
    parts: list[str] = []
    figures: list[str] = []

    def close() -> None:
        if figures:
            parts.append('<div class="figures">' + "".join(figures) + "</div>")
            figures.clear()

    for part in section.parts:
        if isinstance(part, Table):
            close()
            parts.append(_table(part))
        else:
            figures.append(_figure(part))
    close()
    head = f"<h2>{_text(section.title)}</h2><p>{_text(section.text)}</p>"
    return f'<section id="part-{number_}">{head}<div class="parts">{"".join(parts)}</div></section>'


def _figure(figure: Figure) -> str:
    note = f"<span>{_text(figure.note)}</span>" if figure.note else ""
    return (
        f'<figure class="{_KINDS[type(figure)]}"><figcaption><b>{_text(figure.title)}</b>{note}</figcaption>'
        f'<div role="img" aria-label="{_text(figure.title)}">{draw(figure)}</div></figure>'
    )


def _table(table: Table) -> str:
    remarks: dict[str, int] = {}
    rows = []
    for row in table.rows[:_MOST_ROWS]:
        cells = "".join(_cell(cell, remarks) for cell in row)
        rows.append(f"<tr>{cells}</tr>")
    texts = [table.note] if table.note else []
    if len(table.rows) > _MOST_ROWS:
        texts.append(f"The first {_MOST_ROWS} of {len(table.rows):,} rows; all are in the JSON file.")
    notes = "".join(f"<p>{_text(text)}</p>" for text in texts)
    listed = "".join(f"<li value='{place}'>{_text(text)}</li>" for text, place in remarks.items())
    head = "".join(f"<th{_kind(table, k)}>{_text(column)}</th>" for k, column in enumerate(table.columns))
    return (
        f'<div class="table"><h3>{_text(table.title)}</h3>'
        f"<table{_width(table)}>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        f'<div class="notes">{notes}{f"<ol>{listed}</ol>" if listed else ""}</div></div>'
    )


def _width(table: Table) -> str:
    """Return the class of a table that has room for an interval beside its number instead of below it."""
    estimates = sum(any(isinstance(row[k], Estimate) for row in table.rows) for k in range(len(table.columns)))
    return ' class="roomy"' if estimates == 1 else ""


def _kind(table: Table, column: int) -> str:
    texts = all(isinstance(row[column], str) or row[column] is None for row in table.rows)
    return ' class="words"' if texts else ""


def _cell(cell: Cell, remarks: dict[str, int]) -> str:
    if isinstance(cell, str):
        return f'<td class="words">{_text(cell)}</td>'
    if isinstance(cell, PValue):
        return f"<td>{_text(_p(cell.value))}</td>"
    if not isinstance(cell, Estimate):
        return f"<td>{_text(number(cell))}</td>"
    mark = ""
    if remark := _remark(cell):
        mark = f"<sup>{remarks.setdefault(remark, len(remarks) + 1)}</sup>"
    interval = ""
    if cell.low is not None and cell.high is not None:
        interval = f"<i>{_text(number(cell.low))} to {_text(number(cell.high))}</i>"
    return f"<td>{_text(number(cell.value))}{mark}{interval}</td>"


def _remark(estimate: Estimate) -> str:
    if estimate.reason:
        return _sentence(estimate.reason)
    if estimate.dropped:
        total = estimate.dropped + estimate.resamples
        return f"Undefined in {estimate.dropped:,} of {total:,} resamples, which were left out of the interval."
    return ""


def number(value: float | int | None) -> str:
    """Return a number as it is printed: three decimals, fewer for large numbers, two digits for tiny ones."""
    if value is None:
        return "–"
    size = abs(value)
    if isinstance(value, int):
        text = f"{size:,}"
    elif size >= 100:
        text = f"{size:,.1f}"
    elif size >= 10:
        text = f"{size:.2f}"
    elif size >= 0.0005 or size < 1e-12:
        text = f"{size:.3f}"
    else:
        text = f"{size:.{min(12, 1 - math.floor(math.log10(size)))}f}"
    return f"−{text}" if value < 0 and text.strip("0.") else text


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 1 else "1"


def _left_out(evaluation: Evaluation) -> str:
    left_out = evaluation.data.left_out
    if not left_out:
        return ""
    rows = tuple((name, reason) for name, reason in left_out.items())
    table = Table("left_out", f"{len(rows):,} recordings", ("recording", "reason"), rows)
    return f"<section><h2>Left out</h2>{_table(table)}</section>"


def _settings(evaluation: Evaluation) -> str:
    rows = "".join(
        f"<tr><td class='words'>{_text(name)}</td><td class='words'>{_text(_plain(value))}</td></tr>"
        for name, value in evaluation.settings.items()
    )
    return f'<section><h2>Settings</h2><div class="table"><table class="settings"><tbody>{rows}</tbody></table></div></section>'


def _plain(value: object) -> str:
    return ", ".join(str(part) for part in value) if isinstance(value, list | tuple) else str(value)

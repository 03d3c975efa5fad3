"""What a view of several nights or several people shows: sentences, figures and tables that a page only has to draw."""

from __future__ import annotations

import html
from dataclasses import dataclass, field

import pandas as pd
import plotly.graph_objects as go

from sleepfm.models.card import UNKNOWN, Condition
from sleepfm.text import printable
from sleepfm.viewer.table_csv import table_csv


@dataclass(frozen=True, eq=False)
class ViewFigure:
    """A figure with what stands above it and the name of its files.

    Attributes
    ----------
    title, note
        Plain text, not Markdown: what it shows, and how to read it (n, events, interval).
    figure
        SVG traces only; units on the axes.
    name
        Stem of an exported file.
    """

    title: str
    figure: go.Figure
    name: str
    note: str = ""


@dataclass(frozen=True, eq=False)
class ViewTable:
    """A table as the screen shows it, and as a file has it.

    Attributes
    ----------
    title, note
        Plain text, not Markdown.
    shown
        Numbers rounded, with units and intervals in words; texts are printable.
    data
        The same with full numbers, a column for each number.
    name
        Stem of an exported file.
    """

    title: str
    shown: pd.DataFrame
    data: pd.DataFrame
    name: str
    note: str = ""

    def csv(self) -> bytes:
        """Return the table as a CSV file (UTF-8)."""
        return table_csv(self.data).encode()


@dataclass(frozen=True, eq=False)
class RiskView:
    """A whole view, to be drawn in this order: words, figures, tables, warnings.

    Attributes
    ----------
    words
        Sentences on what was asked and of whom (n), plain text.
    warnings
        Sentences that must be seen: simulated data or model, people left out, too few events.
    """

    words: tuple[str, ...]
    figures: tuple[ViewFigure, ...] = ()
    tables: tuple[ViewTable, ...] = ()
    warnings: tuple[str, ...] = field(default=())


def condition_words(condition: Condition) -> str:
    """Return a condition's name for people: its phecode, and its name where somebody gave one.

    Examples
    --------
    >>> condition_words(Condition(phecode="401.1", phenotype="Essential hypertension"))
    '401.1 Essential hypertension'
    """
    unnamed = condition.phenotype in (condition.phecode, UNKNOWN)
    return printable(condition.phecode if unnamed else f"{condition.phecode} {condition.phenotype}")


def figure_text(text: str) -> str:
    """Return a text for a figure: printable, and what Plotly would take for tags or links as plain signs.

    Examples
    --------
    >>> figure_text("a <b>")
    'a &lt;b&gt;'
    """
    return html.escape(printable(text), quote=False)

"""A finished report is searched for whom the recording's header names: what stands on its pages, and what is said of the file."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path

from sleepfm.errors import SleepFMError
from sleepfm.recording.identity import left_words, traces_in_document
from sleepfm.report.report_data import ReportData

_WORD = re.compile(r"[^\W\d_]+")
_NO_WORDS = re.compile(
    r"<style\b.*?</style>|</?[\w:-]+|\s(?:d|class|style|id|href|transform|points|viewBox|[\w-]+:[\w-]+)=\"[^\"]*\"", re.DOTALL
)
"""Of a page what nobody reads: its look, the names of its parts, the lines of its figures."""


def require_nobody_in(data: ReportData, content: bytes, name: str) -> None:
    """See that a finished report (HTML or PDF) says nothing of the header that its data were cleaned of.

    The names of those who scored and signed may stand in it, the days on which it was made and signed, and words that the
    software says itself, which say nothing of anybody.

    Raises
    ------
    SleepFMError
        When it does, naming the kind of thing and not the thing.
    """
    standing = data.standing
    told = (data.made_at, standing.signed_at)
    identity = data.cleaned_of.without_dates_of(moment.date() for moment in told if moment is not None)
    if not identity:
        return
    if not content.startswith(b"%PDF"):
        content = html.unescape(_NO_WORDS.sub(" ", content.decode("utf-8"))).encode()
    found = traces_in_document(content, identity, people=tuple(filter(None, (standing.scorer, standing.signed_by))))
    named = [one for one in found if not _own(one)]
    if named:
        raise SleepFMError(f"{name}: was not written, for it {left_words(named)}; report a copy made by `sleepfm deidentify`")


def _own(words: str) -> bool:
    """Whether the software says all of some words itself; numbers and dates it does not."""
    return set(words.split()) <= _own_words()


@cache
def _own_words() -> frozenset[str]:
    package = Path(str(resources.files("sleepfm")))
    speaking = (*(package / "report").glob("*.py"), *(package / "analysis").glob("*.py"), package / "vocabulary.py")
    return frozenset(word.casefold() for file in speaking for text in _told(file) for word in _WORD.findall(text))


def _told(file: Path) -> Iterator[str]:
    """Give the strings of a module that may be said to somebody; its names and docstrings hold authors (Kaplan, Meier)."""
    nodes = list(ast.walk(ast.parse(file.read_bytes())))
    remarks = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in remarks:
            yield node.value

"""Hostile text becomes harmless and stays readable."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from sleepfm.text import plain, printable


@given(st.text())
def test_what_is_printed_holds_no_control_or_format_characters(text: str) -> None:
    # a no-break space is as harmless as a space
    assert all(one.isprintable() or unicodedata.category(one) == "Zs" for one in printable(text))


def test_ordinary_text_stays_as_it_is() -> None:
    assert printable("EEG C4-M1 µV Impédance 睡眠") == "EEG C4-M1 µV Impédance 睡眠"
    assert printable("a\x1b[31mb\u202ec") == "a\\x1b[31mb\\u202ec"


@given(st.text(alphabet="ab![]()<>*_`#:$~|\\ \n", max_size=40))
def test_markdown_has_nothing_to_act_on(text: str) -> None:
    escaped = plain(text)
    assert re.sub(r"\\(.)", r"\1", escaped) == printable(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[!\[\]()<>*_`#:$~|]", escaped)

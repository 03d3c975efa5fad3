"""Taking people, places and files out of messages and logs, so that they can be sent to somebody who helps.

What names a patient cannot be listed, so it is done the other way round: of a text only what the software itself may have said
is left. A word stays when it stands like that in the software's own code and is no part of anything that this library knows
(ids, file names, values of tables, users); numbers and dates go, and so does every path but those of program files.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import sysconfig
from collections.abc import Iterable
from functools import lru_cache
from importlib import resources
from pathlib import Path

_TOKEN = re.compile(
    r'File "(?P<file>[^"\n]*)", line (?P<line>\d{1,6}), in (?P<function>[\w<>]+)'
    r"""|(?P<path>[^\s'"<>|,;()]*[/\\][^\s'"<>|,;()]*)"""
    r"|(?P<word>[^\W\d_]+)"
    r"|(?P<number>\d+)"
    r"|(?P<other>[^\x20-\x7e\n])"
)
_WORD = re.compile(r"[^\W\d_]+")
_PROGRAM_PLACES = (
    Path(str(resources.files("sleepfm"))).parent,
    *(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib")),
)
_TECHNICAL = """
CUDA GPU CPU RAM MB GB KB GiB MiB out memory allocate allocated Tried available free total device devices driver kernel killed
Killed signal SIGKILL SIGTERM segmentation fault Segmentation core dumped permission denied Permission Denied space left No no
such file directory Errno connection refused timed timeout disk full input output broken pipe database locked malformed Traceback
most recent call last During handling above exception another occurred direct cause following The the in of on at to is was and
or not be cannot could
"""
"""What Python, PyTorch and the system say when something fails."""
_NO_NAMES = """
edf bdf hea mat dat csv hdf data psg study studies night nights recording recordings home root tmp var mnt srv usr opt users
media volumes sleepfm uploads demo sim signals female male unknown true false none file folder model models library runs run
test train validation the and of to in is cannot be read it its for no not
"""
"""Words of ids and paths that name nobody; they stay readable in messages."""
_MOST_CHARACTERS = 200_000


class Scrubber:
    """Replaces what may name somebody; the same thing has the same mark all through one bundle.

    Parameters
    ----------
    known
        Texts that name people, studies and files; each word of them is taken out wherever it stands.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._secret = {word.casefold() for text in known for word in _WORD.findall(text)} - set(_NO_NAMES.split())
        self._marks: dict[tuple[str, str], str] = {}

    def scrub(self, text: str) -> str:
        """Return the text without people, places, files, numbers and dates."""
        return _TOKEN.sub(self._replaced, text[-_MOST_CHARACTERS:])

    def _replaced(self, match: re.Match[str]) -> str:
        sort = match.lastgroup
        if sort == "function":
            return f'File "{self._program_file(match["file"])}", line {match["line"]}, in {self._plain(match["function"])}'
        if sort == "path":
            return self._mark("path", match[0])
        if sort == "word":
            return match[0] if self._stays(match[0]) else self._mark("word", match[0].casefold())
        return "#" if sort == "number" else "?"

    def _program_file(self, path: str) -> str:
        """Return the name of a file that belongs to this Python and its packages, and a mark for any other."""
        for place in _PROGRAM_PLACES:
            if Path(path).is_relative_to(place) and Path(path).is_file():
                return Path(path).relative_to(place).as_posix()
        return self._mark("path", path)

    def _plain(self, name: str) -> str:
        return name if all(self._stays(word) for word in _WORD.findall(name)) else self._mark("word", name)

    def _stays(self, word: str) -> bool:
        # one letter may be an initial
        return (len(word) > 1 or word == "a") and word in _said_by_the_software() and word.casefold() not in self._secret

    def _mark(self, sort: str, text: str) -> str:
        return self._marks.setdefault((sort, text), f"<{sort} {len(self._marks) + 1}>")


@lru_cache(maxsize=1)
def _said_by_the_software() -> frozenset[str]:
    """Return every word of the package's code: its names and its strings, without what is only remarked on (names of authors)."""
    words = {
        *_TECHNICAL.split(),
        *_NO_NAMES.split(),
        *keyword.kwlist,
        *(word for name in dir(builtins) for word in _WORD.findall(name)),
    }
    return frozenset(words | words_of_code(Path(str(resources.files("sleepfm"))).rglob("*.py")))


def words_of_code(files: Iterable[Path]) -> set[str]:
    """Return every word of some modules: of their names and strings, without what is only remarked on."""
    words = set[str]()
    for file in files:
        for node in ast.walk(ast.parse(file.read_bytes())):
            for text in _texts(node):
                words.update(_WORD.findall(text))
    return words


def _texts(node: ast.AST) -> Iterable[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        # a docstring is a string too, but of many lines or a whole sentence; messages are parts of one
        return () if "\n" in node.value else (node.value,)
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        return (node.attr,)
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return (node.name,)
    return (node.arg,) if isinstance(node, ast.arg | ast.keyword) and node.arg is not None else ()

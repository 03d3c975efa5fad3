"""What a command says: results on stdout, progress and warnings on stderr, and nothing else anywhere."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from sleepfm.text import printable


class Console:
    """Prints for one command.

    With `as_json`, stdout gets exactly one JSON object; otherwise readable text. Progress goes to stderr when that is a
    terminal, so that logs are not filled with it.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._live = sys.stderr.isatty()
        self._started = time.monotonic()
        self._drawn = False

    def result(self, value: dict[str, Any], text: str) -> None:
        """Print the command's answer."""
        self._wipe()
        print(json.dumps(value, ensure_ascii=False, allow_nan=False) if self.as_json else text)

    def say(self, text: str) -> None:
        """Print a remark for people on stderr."""
        self._wipe()
        print(printable(text), file=sys.stderr)

    def progress(self, fraction: float, message: str) -> None:
        """Draw progress with the time left; usable wherever a `Progress` is wanted."""
        if not self._live:
            return
        elapsed = time.monotonic() - self._started
        left = f", {elapsed * (1 - fraction) / fraction:.0f} s left" if fraction > 0.05 and elapsed > 1 else ""
        print(f"\r\x1b[K{100 * fraction:3.0f} %  {printable(message)}{left}", end="", file=sys.stderr, flush=True)
        self._drawn = True

    def _wipe(self) -> None:
        if self._drawn:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._drawn = False

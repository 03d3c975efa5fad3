"""One recording of a batch in its own process: `python -m sleepfm.cli.batch_worker`.

The request is one line of JSON on standard input; progress, and last the result or the error, go to standard output, a line of
JSON each. When standard input closes, whoever asked is gone, and this ends too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from sleepfm.administration.readable_folders import whole_machine
from sleepfm.cli.staging import run_file
from sleepfm.errors import Cancelled, SleepFMError

_REPORT_EVERY_S = 0.25
_PATIENCE_S = 20.0


class _Asked:
    """Whether somebody asked this process to end."""

    to_end = False


def main() -> int:
    """Do what the first line asks and return the exit code."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    request = json.loads(sys.stdin.readline())
    signal.signal(signal.SIGTERM, _ask_to_end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    last = 0.0

    def tell(said: dict[str, Any]) -> None:
        answers.write(json.dumps(said, ensure_ascii=True) + "\n")
        answers.flush()

    def progress(fraction: float, message: str) -> None:
        nonlocal last
        if _Asked.to_end:
            raise Cancelled("asked to stop")
        now = time.monotonic()
        if now - last >= _REPORT_EVERY_S:
            last = now
            tell({"progress": fraction, "message": message})

    try:
        with whole_machine():  # whoever started this has looked whether the file may be read
            result = run_file(Path(request["file"]), Path(request["out"]), steps=tuple(request["steps"]), progress=progress)
        provenance = json.loads((Path(result["out"]) / "provenance.json").read_text("utf-8"))
        tell({"result": result, "sha256": provenance["sha256"]})
    except SleepFMError as error:
        tell({"error": str(error)})
        return 1
    except Exception as error:
        tell({"error": f"{request['file']}: a defect of the software: {type(error).__name__}: {error}"})
        raise
    return 0


def _ask_to_end(_signal: int, _frame: FrameType | None) -> None:
    _Asked.to_end = True
    raise Cancelled("asked to stop")


def _end_with_parent() -> None:
    while sys.stdin.readline():
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE_S)  # a long computation hears of it only when it returns
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())

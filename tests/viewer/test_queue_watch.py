"""As long as the app runs, a queue whose dispatcher was killed goes on."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sleepfm.errors import SleepFMError
from sleepfm.home import Home, open_home
from sleepfm.viewer import server


def test_a_dispatcher_that_is_gone_twice_in_a_row_is_started_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([True, False, True, SleepFMError("the library is busy"), True, True, False])
    started: list[int] = []
    seen: list[object] = []

    def look(_: Home) -> bool:
        found = next(looks, None)
        seen.append(found)
        if found is None:
            raise asyncio.CancelledError
        if isinstance(found, Exception):
            raise found
        return bool(found)

    monkeypatch.setattr(server, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(server, "nobody_works", look)
    monkeypatch.setattr(server, "ensure_running", lambda _: started.append(len(seen)))
    # a thread of its own: the browser's tests leave a loop running in this one
    with ThreadPoolExecutor(1) as aside, pytest.raises(asyncio.CancelledError):
        aside.submit(asyncio.run, server.see_to_the_queue(open_home(tmp_path))).result()
    assert started == [5], "once, at the second look in a row"

"""Buttons and actions that not everybody may use: decided on the server, whatever the browser sends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sleepfm.administration.audit import entries
from sleepfm.administration.roles import Role
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home, open_home
from sleepfm.runs.database import connect
from sleepfm.runs.table import JobTable, Lane
from sleepfm.viewer import role_widgets, signed_in
from sleepfm.viewer.signed_in import User, acting


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path))
    return open_home(tmp_path)


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Callable[[Role], None]:
    def somebody(role: Role) -> None:
        for module in (signed_in, role_widgets):
            monkeypatch.setattr(module, "current_user", lambda: User("pat", role, local=False))

    return somebody


def buttons() -> None:
    import streamlit as st

    from sleepfm.administration.roles import Role
    from sleepfm.viewer.role_widgets import action_button, export_button

    for role in Role:
        if action_button(f"as {role}", role=role):
            st.write(f"done as {role}")
    export_button("Take along", b"results", "results.csv", key="export")


@pytest.mark.parametrize(("role", "done"), [(Role.VIEWER, 1), (Role.SCORER, 2), (Role.ADMIN, 3)])
def test_a_button_counts_only_for_those_of_its_role_even_when_a_forged_message_presses_it(
    become: Callable[[Role], None], role: Role, done: int
) -> None:
    become(role)
    page = AppTest.from_function(buttons).run()
    acting_buttons = [one for one in page.button if one.label.startswith("as ")]
    assert [one.disabled for one in acting_buttons] == [number >= done for number in range(3)]
    for one in acting_buttons:
        one.proto.disabled = False  # a browser may do what it likes
        one.click()
    page.run()
    assert [one.value for one in page.markdown] == [f"done as {one}" for one in list(Role)[:done]]
    exported = [one for one in page.button if one.label == "Take along"]
    assert bool(exported) == (role is Role.VIEWER), "who only looks gets a button without a file"
    assert all(one.disabled for one in exported)


class Stopped(Exception):  # noqa: N818 - stands for Streamlit's own way to end a page
    pass


@pytest.mark.parametrize(
    ("role", "kind", "stops"),
    [
        (Role.VIEWER, "stage", False),
        (Role.SCORER, "stage", True),
        (Role.SCORER, "pretrain", False),
        (Role.SCORER, "a kind of the next version", False),
        (Role.ADMIN, "pretrain", True),
    ],
)
def test_a_scorer_stops_what_scorers_start(
    home: Home, become: Callable[[Role], None], monkeypatch: pytest.MonkeyPatch, role: Role, kind: str, *, stops: bool
) -> None:
    def stop() -> None:
        raise Stopped

    monkeypatch.setattr(signed_in.st, "stop", stop)
    become(role)
    table = JobTable(home)
    job = table.add(kind, lane=Lane.HEAVY, title="work")
    if stops:
        role_widgets.stop_job(table, job.id)
    else:
        with pytest.raises(Stopped):
            role_widgets.stop_job(table, job.id)
    now = table.get(job.id)
    assert (now.open and not now.stop_requested) is not stops
    table.close()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.SCORER])
def test_what_admins_do_is_refused_to_others_and_the_attempt_written_down(
    home: Home, become: Callable[[Role], None], role: Role
) -> None:
    become(role)
    done: list[str] = []
    with closing(connect(home.database)) as connection:
        with pytest.raises(RequestError, match="only an administrator"), acting(connection, "retire model", "old"):
            done.append("retired")
        assert [(one.user, one.action, one.subject) for one in entries(connection)] == [("pat", "retire model: refused", "old")]
    assert done == []


def test_what_admins_do_is_written_down_before_it_is_done_and_again_when_it_fails(
    home: Home, become: Callable[[Role], None]
) -> None:
    become(Role.ADMIN)
    with closing(connect(home.database)) as connection:
        with acting(connection, "retire model", "old", {"task": "staging"}) as user:
            assert user.name == "pat"
            assert [one.action for one in entries(connection)] == ["retire model"]
        with pytest.raises(SleepFMError, match="no such model"), acting(connection, "retire model", "none"):
            raise SleepFMError("no such model")
        lines = entries(connection)
    assert [one.action for one in lines] == ["retire model: failed", "retire model", "retire model"]
    assert lines[0].detail == {"why": "no such model"}
    assert lines[2].detail == {"task": "staging"}

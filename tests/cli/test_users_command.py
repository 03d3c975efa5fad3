"""`sleepfm users`: the accounts from the command line; no password is ever a word of it."""

from __future__ import annotations

import io
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import argon2
import pytest

from sleepfm.administration import passwords
from sleepfm.administration.accounts import Accounts
from sleepfm.administration.audit import entries
from sleepfm.cli.main import main, parser
from sleepfm.runs.database import connect

PASSWORD = "seven quiet nights"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    def users(*words: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code = main(["users", *words, "--home", str(tmp_path)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return users


def test_users_are_added_listed_changed_and_removed(run: Any, tmp_path: Path) -> None:
    assert run("add", "Anna", "--role", "admin", typed=PASSWORD + "\n")[0] == 0
    assert run("add", "cleo@example.org", "--provider", "--json")[0] == 0
    code, out, _ = run("list", "--json")
    assert code == 0
    listed = json.loads(out)["users"]
    assert [(one["name"], one["role"], one["sign_in"]) for one in listed] == [
        ("anna", "admin", "password"),
        ("cleo@example.org", "viewer", "identity provider"),
    ]
    assert not any("argon2" in str(value) for one in listed for value in one.values())
    assert run("role", "cleo@example.org", "scorer")[0] == 0
    assert run("password", "anna", typed="another good night\n")[0] == 0
    assert run("remove", "cleo@example.org")[0] == 0
    with closing(connect(tmp_path / "library.sqlite")) as connection:
        accounts = Accounts(connection)
        assert [one.name for one in accounts.list()] == ["anna"]
        assert accounts.sign_in("anna", "another good night") is not None
        log = entries(connection)
    assert [one.action for one in reversed(log)] == ["add user", "add user", "change role", "change password", "remove user"]
    assert all(one.user.endswith("(command line)") for one in log)
    assert PASSWORD not in str(log)


@pytest.mark.parametrize(
    ("words", "typed", "said"),
    [
        (["add", "ben"], "", "no password came on stdin"),
        (["add", "ben"], "short\n", "too short"),
        (["add", "no spaces please"], PASSWORD, "cannot be a user's name"),
        (["remove", "nobody"], "", "no such user"),
        (["role", "nobody", "admin"], "", "no such user"),
        (["password", "nobody"], PASSWORD, "no such user"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_2(run: Any, words: list[str], typed: str, said: str) -> None:
    code, out, err = run(*words, typed=typed)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_password_is_typed_twice_on_a_terminal_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    for answers, code in ((iter([PASSWORD, "a slip of the keys"]), 2), (iter([PASSWORD, PASSWORD]), 0)):
        monkeypatch.setattr("getpass.getpass", lambda _prompt, answers=answers: next(answers))
        assert main(["users", "add", "anna", "--home", str(tmp_path)]) == code
    assert PASSWORD not in "".join(capsys.readouterr())


def test_no_option_takes_a_password(capsys: pytest.CaptureFixture[str]) -> None:
    for action in ("add", "password"):
        with pytest.raises(SystemExit):
            parser().parse_args(["users", action, "anna", "--password", PASSWORD])
        with pytest.raises(SystemExit):
            parser().parse_args(["users", action, "anna", PASSWORD])
    assert "unrecognized arguments" in capsys.readouterr().err

"""Commands on the people who may sign in: users list, add, remove, role, password."""

from __future__ import annotations

import argparse
import getpass
import sys
from contextlib import closing
from typing import Any

from sleepfm.administration.accounts import Account, Accounts
from sleepfm.administration.passwords import LEAST_CHARACTERS
from sleepfm.administration.roles import Role
from sleepfm.cli.audit import who
from sleepfm.cli.console import Console
from sleepfm.cli.options import add_home, command, group
from sleepfm.errors import RequestError
from sleepfm.home import open_home
from sleepfm.runs.database import connect


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    actions = group(commands, "users", does="people who may sign in: list, add, remove, role, password")
    for name, run, does, example in (
        ("list", _list, "list the users", "sleepfm users list --json"),
        ("add", _add, "add a user; the password is asked for, or read from stdin", "sleepfm users add anna --role scorer"),
        ("remove", _remove, "remove a user and end their sessions", "sleepfm users remove anna"),
        ("role", _role, "give a user another role and end their sessions", "sleepfm users role anna admin"),
        ("password", _password, "give a user another password and end their sessions", "sleepfm users password anna"),
    ):
        parser = command(actions, name, run, does=does, example=example)
        add_home(parser)
        if name != "list":
            parser.add_argument("name", metavar="NAME", help="the user's name; an e-mail address with an identity provider")
        if name == "add":
            parser.add_argument("--role", choices=[str(role) for role in Role], default="viewer", help="default: viewer")
            parser.add_argument(
                "--provider", action="store_true", help="no password: this e-mail address signs in through the identity provider"
            )
        if name == "role":
            parser.add_argument("role", choices=[str(role) for role in Role], metavar="ROLE", help="viewer, scorer or admin")


def _list(options: argparse.Namespace, console: Console) -> int:
    with closing(connect(open_home(options.home).database)) as connection:
        users = Accounts(connection).list()
    console.result({"users": [_describe(user) for user in users]}, "\n".join(map(_line, users)) or "no users yet")
    return 0


def _add(options: argparse.Namespace, console: Console) -> int:
    with closing(connect(open_home(options.home).database)) as connection:
        password = None if options.provider else _new_password(options.name)
        user = Accounts(connection).add(options.name, Role(options.role), password, by=who())
    console.result(_describe(user), f"{user.name} may sign in as {user.role}")
    return 0


def _remove(options: argparse.Namespace, console: Console) -> int:
    with closing(connect(open_home(options.home).database)) as connection:
        Accounts(connection).remove(options.name, by=who())
    console.result({"name": options.name, "removed": True}, f"{options.name} was removed and signed out everywhere")
    return 0


def _role(options: argparse.Namespace, console: Console) -> int:
    with closing(connect(open_home(options.home).database)) as connection:
        accounts = Accounts(connection)
        accounts.set_role(options.name, Role(options.role), by=who())
        user = accounts.known(options.name)
    console.result(_describe(user), f"{user.name} is {user.role} now and was signed out everywhere")
    return 0


def _password(options: argparse.Namespace, console: Console) -> int:
    with closing(connect(open_home(options.home).database)) as connection:
        accounts = Accounts(connection)
        accounts.known(options.name)  # said before somebody types a password twice
        accounts.set_password(options.name, _new_password(options.name), by=who())
        user = accounts.known(options.name)
    console.result(_describe(user), f"{user.name} has a new password and was signed out everywhere")
    return 0


def _new_password(name: str) -> str:
    """Return the password that is typed twice on a terminal, or the first line of stdin; never a word of the command line."""
    if not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise RequestError("no password came on stdin; give one line, or run the command on a terminal to be asked")
        return password
    first = getpass.getpass(f"Password of {name} (at least {LEAST_CHARACTERS} characters): ")
    if getpass.getpass("Once more: ") != first:
        raise RequestError("the two passwords differ; nothing was changed")
    return first


def _describe(user: Account) -> dict[str, Any]:
    return {
        "name": user.name,
        "role": str(user.role),
        "sign_in": "password" if user.has_password else "identity provider",
        "locked_until": None if user.locked_until is None else user.locked_until.isoformat(),
        "created_at": user.created_at.isoformat(),
    }


def _line(user: Account) -> str:
    return f"{user.role:7}  {'password' if user.has_password else 'provider':9} {user.name}"

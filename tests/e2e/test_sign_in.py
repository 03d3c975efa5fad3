"""An app that others reach: signing in by keyboard and through a provider, and everything that must not get past it."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from e2e.conftest import RunningApp, free_port, start_app, stop_app
from e2e.identity_provider import CLIENT_ID, CLIENT_SECRET, Provider, running
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.util import calc_hash
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as open_socket

from sleepfm.administration.accounts import FREE_ATTEMPTS, Accounts
from sleepfm.administration.app_settings import change_settings
from sleepfm.administration.audit import entries
from sleepfm.administration.roles import Role
from sleepfm.administration.sessions import Sessions
from sleepfm.cli.main import main
from sleepfm.home import open_home
from sleepfm.runs.database import connect
from sleepfm.viewer.signed_in import COOKIE

pytestmark = pytest.mark.browser

PASSWORD = "seven quiet nights"
USERS = {"anna": Role.ADMIN, "vera": Role.VIEWER, "lock": Role.VIEWER, "gone": Role.SCORER}
NO_STUDIES = "text=No studies yet"
NOT_FOUND = "text=Page not found"
ADMIN_WORDS = "Audit log"
"""Stands on the settings page, and nowhere that others may look."""


@dataclass
class Site:
    app: RunningApp
    provider: Provider
    log: Path

    @contextmanager
    def accounts(self) -> Iterator[Accounts]:
        """Give the accounts, as the command line or an admin's page changes them."""
        with closing(connect(self.app.home / "library.sqlite")) as connection:
            yield Accounts(connection)

    def token(self, name: str) -> str:
        """Begin a session as the sign-in page does."""
        with closing(connect(self.app.home / "library.sqlite")) as connection:
            return Sessions(connection).begin(name, 1)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give an app that listens on every address, with four accounts and an identity provider."""
    home = open_home(tmp_path_factory.mktemp("site") / "home")
    change_settings(home, folders=[str(home.root.parent)])
    with closing(connect(home.database)) as connection:
        for name, role in USERS.items():
            Accounts(connection).add(name, role, PASSWORD, by="test")
        Accounts(connection).add("cleo@example.org", Role.SCORER, None, by="test")
    provider, port = Provider(), free_port()
    with running(provider) as server:
        provider.url = server.url
        secrets_file = home.root / "secrets.toml"
        secrets_file.write_text(
            "[oidc]\n"
            f'metadata_url = "{server.url}/.well-known/openid-configuration"\n'
            f'client_id = "{CLIENT_ID}"\nclient_secret = "{CLIENT_SECRET}"\n'
            f'redirect_uri = "http://127.0.0.1:{port}/oauth2callback"\nlabel = "Example University"\n'
        )
        secrets_file.chmod(0o600)
        app = start_app(home.root, port, "--address", "0.0.0.0")
        yield Site(app, provider, home.root.parent / "app.log")
        stop_app(app)


@pytest.fixture(autouse=True)
def signed_out(tab: Any) -> None:
    tab.context.clear_cookies()
    tab.set_default_timeout(60_000)


def sign_in(page: Any, site: Site, name: str, path: str = "/studies") -> None:
    page.goto(site.app.url + path)
    page.wait_for_selector("input[name=name]:focus")
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")


def test_the_app_does_not_start_for_others_while_nobody_can_sign_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in (["--address", "0.0.0.0"], ["--allowed-host", "lab.example"]):
        assert main(["app", *more, "--port", str(free_port()), "--home", str(tmp_path)]) == 2
        assert re.fullmatch(r"sleepfm app: [\d.]+: .*sleepfm users add NAME --role admin.*\n", capsys.readouterr().err)


def test_by_keyboard_with_a_wrong_password_first(site: Site, tab: Any) -> None:
    tab.goto(site.app.url + "/review?study=none")
    tab.wait_for_selector("input[name=name]:focus")
    tab.keyboard.type("vera")
    tab.keyboard.press("Tab")
    tab.keyboard.type("not her password")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("[role=alert]")
    assert tab.input_value("input[name=name]") == "vera"
    tab.wait_for_selector("input[name=password]:focus")
    tab.keyboard.type(PASSWORD)
    tab.keyboard.press("Enter")
    tab.wait_for_selector("text=no study 'none' in the library")
    assert tab.url.endswith("/review?study=none")


def test_a_viewer_reaches_no_admin_page_by_its_address(site: Site, tab: Any) -> None:
    sign_in(tab, site, "vera", "/settings?section=Users+and+audit")
    tab.wait_for_selector(NOT_FOUND)
    tab.wait_for_selector(NO_STUDIES)
    assert ADMIN_WORDS not in tab.inner_text("body")
    tab.keyboard.press("Escape")
    assert "Admin" not in tab.inner_text("header")
    assert tab.get_by_label("Recording or folder path").count() == 0, "who only looks adds nothing"


def test_nor_does_the_apps_own_http_let_them_change_anything(site: Site) -> None:
    for method, path in (
        ("POST", "/sleepfm/upload?name=night.edf"),
        ("PUT", "/_stcore/upload_file/session/file"),
        ("DELETE", "/_stcore/upload_file/session/file"),
    ):
        assert asked(site, path, method=method, cookie=site.token("vera")) == 403
        assert asked(site, path, method=method) == 401
    for path in ("/sleepfm/settings/backups/home.tar", "/sleepfm/runs/curves?run=x"):
        assert [asked(site, path, cookie=site.token(name)) for name in ("vera", "gone")] == [403, 403]
        assert asked(site, path, cookie=site.token("anna")) in (400, 404), "admins are told that there is none"
    assert asked(site, "/studies", cookie=site.token("vera")) == 200
    assert not (site.app.home / "uploads").exists()


@pytest.mark.parametrize("path", ["/studies", "/_stcore/host-config", "/sleepfm/window?study=x&start=0&stop=30", "/media/x.csv"])
def test_a_forged_or_an_ended_cookie_opens_nothing(site: Site, path: str) -> None:
    ended = site.token("anna")
    with closing(connect(site.app.home / "library.sqlite")) as connection:
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        connection.execute("UPDATE sessions SET ends_at = ? WHERE user = 'anna'", (now,))
        hashed = connection.execute("SELECT token_sha256 FROM sessions WHERE user = 'anna'").fetchone()[0]
    for cookie in ("A" * 43, ended, hashed, f"{ended}; _streamlit_user=anna"):
        assert asked(site, path, cookie=cookie) == 401


def asked(site: Site, path: str, *, method: str = "GET", cookie: str | None = None) -> int:
    """Return the status that a program gets."""
    headers = {} if cookie is None else {"Cookie": f"{COOKIE}={cookie}"}
    request = urllib.request.Request(site.app.url + path, method=method, headers=headers, data=None if method == "GET" else b"x")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_over_a_raw_websocket_an_admins_page_runs_for_admins_only(site: Site) -> None:
    """What a browser sends can be written by hand: the page's number, its name, its address."""
    assert ADMIN_WORDS in said_by_page(site, "anna", "settings"), "this way an admin does get there"
    for name in ("vera", "gone"):
        said = said_by_page(site, name, "settings")
        assert ADMIN_WORDS not in said
        assert "No studies yet" in said, "the first page runs instead"
    for cookie in (None, "A" * 43):
        with pytest.raises(InvalidStatus) as refused:
            said_by_page(site, None, "settings", cookie=cookie)
        assert refused.value.response.status_code == 403


def said_by_page(site: Site, name: str | None, page: str, cookie: str | None = None) -> str:
    """Return all that the server sends when a page is asked for over the websocket that pages run on."""
    token = cookie if name is None else site.token(name)
    headers = {} if token is None else {"Cookie": f"{COOKIE}={token}"}
    address = site.app.url.replace("http", "ws") + "/_stcore/stream"
    received: list[str] = []
    with open_socket(address, additional_headers=headers, subprotocols=["streamlit"], max_size=None) as socket:
        ask = BackMsg()
        ask.rerun_script.page_script_hash = calc_hash(page)
        ask.rerun_script.page_name = page
        ask.rerun_script.query_string = "section=Users+and+audit"
        socket.send(ask.SerializeToString())
        while True:
            message = ForwardMsg()
            message.ParseFromString(socket.recv(timeout=60))
            received.append(str(message))
            # the first page leads on to the list of studies: one run is over before that one begins
            if message.WhichOneof("type") == "script_finished":
                said = "".join(received)
                if ADMIN_WORDS in said or "No studies yet" in said:
                    return said


def test_five_wrong_passwords_lock_the_account_until_it_gets_another(site: Site, tab: Any) -> None:
    tab.goto(site.app.url)
    for guess in [*(f"guess {number}" for number in range(FREE_ATTEMPTS)), PASSWORD]:
        tab.fill("input[name=name]", "lock")
        tab.fill("input[name=password]", guess)
        tab.click("button[type=submit]")
        tab.wait_for_selector("[role=alert]")
    with site.accounts() as accounts:
        assert accounts.known("lock").locked_until is not None
        accounts.set_password("lock", "eight quiet nights", by="test")
    tab.fill("input[name=name]", "lock")
    tab.fill("input[name=password]", "eight quiet nights")
    tab.click("button[type=submit]")
    tab.wait_for_selector(NO_STUDIES)


def test_a_removed_user_is_led_out_of_the_page_that_is_open(site: Site, tab: Any) -> None:
    sign_in(tab, site, "gone")
    tab.wait_for_selector(NO_STUDIES)
    with site.accounts() as accounts:
        accounts.remove("gone", by="test")
    tab.wait_for_url("**/sign-in?why=ended")
    assert "Your session has ended" in tab.inner_text("main")


def test_an_admin_sees_the_users_and_the_log_and_signs_out(site: Site, tab: Any) -> None:
    sign_in(tab, site, "anna", "/settings?section=Users+and+audit")
    tab.wait_for_selector(f"text={ADMIN_WORDS}")
    tab.goto(site.app.url + "/account")
    tab.wait_for_selector("text=does everything")
    tab.get_by_role("button", name="Sign out").click()
    tab.wait_for_url("**/sign-in?why=ended")
    tab.go_back()
    tab.wait_for_url("**/sign-in**")
    with closing(connect(site.app.home / "library.sqlite")) as connection:
        assert [one.action for one in entries(connection, user="anna", limit=2)] == ["sign out", "sign in"]


def test_through_the_identity_provider(site: Site, tab: Any) -> None:
    tab.goto(site.app.url + "/studies")
    tab.get_by_role("link", name="Sign in with Example University").press("Enter")
    tab.get_by_role("link", name="I am cleo@example.org").click()
    tab.wait_for_selector(NO_STUDIES)
    assert tab.url == site.app.url + "/studies"
    asked_for = site.provider.asked[-1]
    assert asked_for["code_challenge_method"] == "S256"
    assert CLIENT_SECRET not in str(asked_for)
    names = {cookie["name"] for cookie in tab.context.cookies()}
    assert COOKIE in names
    assert not any(name.startswith("_streamlit_user") for name in names), "nothing stays that would outlive the session"
    tab.goto(site.app.url + "/account")
    tab.wait_for_selector("text=cleo@example.org")
    tab.wait_for_selector("text=also adds, stages")


@pytest.mark.parametrize(
    ("changed", "leads_to"),
    [
        ({"email": "mallory@example.org"}, "mallory@example.org is not a user of this installation"),
        ({"claims": {"email_verified": False}}, "did not confirm who you are"),
        ({"claims": {"aud": "another app"}}, "did not confirm who you are"),
        ({"claims": {"nonce": "of another time"}}, "did not confirm who you are"),
        ({"claims": {"exp": 1}}, "did not confirm who you are"),
        ({"other_key": True}, "did not confirm who you are"),
    ],
)
def test_whom_the_provider_does_not_vouch_for_stays_out(
    site: Site, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], leads_to: str
) -> None:
    """What the browser does here are two links and what they lead to."""
    for name, value in changed.items():
        monkeypatch.setattr(site.provider, name, value)
    cookies = CookieJar()
    visit = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
    address = f"{site.app.url}/sign-in"
    for words in ("Sign in with Example University", "I am"):
        with visit.open(address, timeout=20) as answer:
            [link] = re.findall(rf'href="([^"]+)"[^>]*>\s*{words}', answer.read().decode())
            address = urljoin(answer.url, unescape(link))
    try:
        with visit.open(address, timeout=20) as answer:
            said = answer.read().decode()
    except urllib.error.HTTPError as refused:
        said = refused.read().decode()
    assert leads_to in unescape(said)
    assert COOKIE not in {cookie.name for cookie in cookies}


def test_secrets_are_in_no_log_and_no_file_but_their_own(site: Site) -> None:
    token = site.token("vera")
    assert asked(site, "/studies", cookie=token) == 200
    environment = Path(f"/proc/{site.app.process.pid}/environ")
    places = [site.log, *(file for file in site.app.home.rglob("*") if file.is_file() and file.name != "secrets.toml")]
    written = b"".join(file.read_bytes() for file in places) + (environment.read_bytes() if environment.is_file() else b"")
    assert b"SleepFM Workbench on" in written, "the log is among them"
    for secret in (PASSWORD, CLIENT_SECRET, token, "not her password", "eight quiet nights"):
        assert secret.encode() not in written

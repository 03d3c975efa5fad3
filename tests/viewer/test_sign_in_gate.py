"""The gate before everything, the sign-in form, and who may send what: asked by HTTP and over websockets, without a browser."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import argon2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from viewer.running_server import serving

from sleepfm.administration import passwords
from sleepfm.administration.accounts import FREE_ATTEMPTS, Accounts
from sleepfm.administration.audit import entries
from sleepfm.administration.identity_provider import IdentityProvider
from sleepfm.administration.roles import Role
from sleepfm.administration.sessions import IDLE, Sessions
from sleepfm.home import Home, open_home
from sleepfm.runs.database import connect
from sleepfm.viewer import signed_in
from sleepfm.viewer.gate import Gate
from sleepfm.viewer.same_origin import OwnNames, SameOriginMiddleware
from sleepfm.viewer.sign_in import SignIn, own_address
from sleepfm.viewer.signed_in import COOKIE, ask_for_sign_in, requiring

PASSWORD = "seven quiet nights"
ROLES = {"vera": Role.VIEWER, "sam": Role.SCORER, "anna": Role.ADMIN}
PROVIDER = IdentityProvider(
    metadata_url="https://id.example/.well-known/openid-configuration",
    client_id="sleepfm",
    client_secret="a secret of the site",
    redirect_uri="https://lab.example/oauth2callback",
    label="Example University",
)
STREAM = "ws://lab.example/_stcore/stream"
BROWSER = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture(scope="module", autouse=True)
def cheap_hashes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        passwords._nobodys_hash.cache_clear()
        yield
    passwords._nobodys_hash.cache_clear()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = open_home(tmp_path / "home")
    with closing(connect(made.database)) as connection:
        for name, role in ROLES.items():
            Accounts(connection).add(name, role, PASSWORD, by="test")
    ask_for_sign_in(made)
    yield made
    ask_for_sign_in(None)


def app_behind_gate(home: Home, provider: IdentityProvider | None = None) -> Starlette:
    async def page(_request: Request) -> Response:
        return HTMLResponse("patients")

    async def changed(_request: Request) -> Response:
        return JSONResponse({"done": True})

    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        begun = ForwardMsg()
        begun.new_session.initialize.session_id = "page-1"
        await socket.send_bytes(begun.SerializeToString())
        try:
            while True:
                await socket.receive_bytes()
                words = socket.headers.get("sec-websocket-protocol", "")
                await socket.send_bytes(ForwardMsg(hash=f"ran; {words}").SerializeToString())
        except WebSocketDisconnect:
            pass

    sign_in = SignIn(home, provider)
    return Starlette(
        routes=[
            *sign_in.routes(),
            Route("/_stcore/health", page),
            Route("/sleepfm/admin", requiring(Role.ADMIN, changed), methods=["GET", "POST"]),
            Route("/oauth2callback", page),
            WebSocketRoute("/_stcore/stream", stream),
            Route("/{rest:path}", page, methods=["GET", "POST", "PUT", "DELETE", "PATCH"]),
        ],
        middleware=[
            Middleware(SameOriginMiddleware, prefix="/sleepfm/", names=OwnNames.with_others(["lab.example"])),
            Middleware(Gate, home=home, sign_in=sign_in),
        ],
    )


@pytest.fixture
def client(home: Home) -> Iterator[TestClient]:
    with TestClient(app_behind_gate(home), base_url="http://lab.example", follow_redirects=False) as made:
        yield made


def fill_in(client: TestClient, name: str, password: str, **more: str) -> Any:
    page = client.get("/sign-in").text
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)
    assert csrf is not None
    return client.post("/sign-in", data={"csrf": csrf[1], "name": name, "password": password, **more})


def signed_in_as(client: TestClient, name: str) -> str:
    client.cookies.clear()
    assert fill_in(client, name, PASSWORD).status_code == 303
    return str(client.cookies[COOKIE])


# without a session


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/studies",
        "/review?study=night",
        "/settings",
        "/_stcore/host-config",
        "/_stcore/upload_file/x/y",
        "/_stcore/health/",
        "/sleepfm/window?study=night",
        "/sleepfm/admin",
        "/media/abc.csv",
        "/component/x/index.html",
        "/static/js/index.js",
        "/sign-in/",
        "/sign-in/style.css/x",
        "/SIGN-IN",
        "//sign-in",
        "/auth/login",
        "/auth/logout",
        "/oauth2callback?code=1&state=2",
    ],
)
def test_without_a_session_nothing_answers(client: TestClient, path: str) -> None:
    answer = client.get(path, headers=BROWSER)
    assert "patients" not in answer.text
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")
    program = client.get(path)
    assert (program.status_code, program.json()) == (401, {"error": "sign in first: reload the page"})


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nor_can_anything_be_sent(client: TestClient, method: str) -> None:
    assert client.request(method, "/sleepfm/upload", headers=BROWSER).status_code == 401
    assert client.request(method, "/_stcore/health").status_code == 401


def test_only_the_form_its_look_and_the_health_check_answer(client: TestClient) -> None:
    for path, kind in (
        ("/sign-in", "text/html"),
        ("/sign-in/style.css", "text/css"),
        ("/sign-in/icon.svg", "image/svg+xml"),
        ("/_stcore/health", "text/html"),
    ):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["x-frame-options"] == "DENY"
    page = client.get("/sign-in")
    assert "<script" not in page.text
    assert "script-src" not in page.headers["content-security-policy"], "the default is none"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("cookie", [None, "", "x", "A" * 43, "A" * 100_000, "../../etc/passwd", "' OR 1=1 --", "\xff"])
def test_a_websocket_without_a_session_is_not_opened(client: TestClient, cookie: str | None) -> None:
    headers = {} if cookie is None else {"Cookie": f"{COOKIE}={cookie}".encode("latin-1")}
    with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect(STREAM, headers=headers):
        pass
    assert refused.value.code == 1008


def test_the_hash_in_the_database_is_no_key(client: TestClient, home: Home) -> None:
    signed_in_as(client, "anna")
    with closing(connect(home.database)) as connection:
        stolen = connection.execute("SELECT token_sha256 FROM sessions").fetchone()[0]
    client.cookies.clear()
    client.cookies.set(COOKIE, stolen)
    assert client.get("/", headers=BROWSER).status_code == 303


# the form


def test_the_form_lets_in_and_leads_where_one_wanted_to_go(client: TestClient) -> None:
    away = client.get("/review?study=night&epoch=3", headers=BROWSER)
    form = client.get(away.headers["location"])
    wanted = re.search(r'name="next" value="([^"]+)"', form.text)
    assert wanted is not None
    answer = fill_in(client, "Vera", PASSWORD, next=wanted[1].replace("&amp;", "&"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/review?study=night&epoch=3")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie, "this was plain http"
    assert client.get("/studies").text == "patients"
    assert client.get("/sign-in").headers["location"] == "/", "somebody who is in needs no form"


def test_over_https_the_cookie_stays_there(home: Home) -> None:
    with TestClient(app_behind_gate(home), base_url="https://lab.example", follow_redirects=False) as client:
        cookies = fill_in(client, "vera", PASSWORD).headers.get_list("set-cookie")
    assert all("Secure" in one for one in cookies if one.startswith(COOKIE))


@pytest.mark.parametrize(("trusted", "secure"), [(None, True), ("192.0.2.10", False), ("192.0.2.10,127.0.0.1", True)])
def test_a_proxys_word_for_https_counts_from_where_it_is_trusted(
    home: Home, monkeypatch: pytest.MonkeyPatch, trusted: str | None, *, secure: bool
) -> None:
    """As docs/sign_in.md says: from this machine, or from the addresses in the environment."""
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    if trusted is not None:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
    with serving(app_behind_gate(home)) as server:
        cookie = server.get("/sign-in", X_Forwarded_Proto="https").headers["set-cookie"]
    assert ("; Secure" in cookie) is secure


def test_a_wrong_password_an_unknown_name_and_a_lock_read_the_same(client: TestClient) -> None:
    for _ in range(FREE_ATTEMPTS):
        wrong = fill_in(client, "vera", "wrong")
    unknown, locked = fill_in(client, "nobody", "wrong"), fill_in(client, "vera", PASSWORD)
    told = [re.sub(r'value="[^"]*"', "", one.text) for one in (wrong, unknown, locked)]
    assert told[0] == told[1] == told[2]
    assert [one.status_code for one in (wrong, unknown, locked)] == [401, 401, 401]
    assert COOKIE not in client.cookies


def test_what_was_typed_is_shown_as_text_or_not_at_all(client: TestClient) -> None:
    page = fill_in(client, '"><script>alert(1)</script>', "wrong").text
    assert "<script" not in page
    assert "alert(1)" not in page
    assert "my secret words" not in fill_in(client, "my secret words", "wrong").text, "a password typed into the wrong field"
    assert "hunter2" not in fill_in(client, "vera", "hunter2").text


@pytest.mark.parametrize(
    "send",
    [
        {"data": {"name": "vera", "password": PASSWORD}},
        {"data": {"csrf": "", "name": "vera", "password": PASSWORD}},
        {"data": {"csrf": "guessed", "name": "vera", "password": PASSWORD}},
        {"content": b"\xff\xfe"},
        {"content": b"csrf=" + b"a" * 30_000},
        {"content": "&".join(f"f{number}=1" for number in range(100)).encode()},
    ],
)
def test_a_form_that_is_not_ours_lets_nobody_in(client: TestClient, send: dict[str, Any]) -> None:
    client.get("/sign-in")
    assert client.post("/sign-in", **send).status_code == 403
    assert COOKIE not in client.cookies


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}, {"Host": "evil.example"}],
)
def test_another_sites_page_signs_nobody_in(client: TestClient, headers: dict[str, str]) -> None:
    client.get("/sign-in")
    csrf = client.cookies["sleepfm_sign_in"]
    sent = client.post("/sign-in", data={"csrf": csrf, "name": "vera", "password": PASSWORD}, headers=headers)
    assert sent.status_code == 403
    assert COOKIE not in client.cookies


@given(st.one_of(st.text(max_size=60), st.from_regex(r"[/\\]{1,3}[a-z.@:/\\]{0,20}", fullmatch=True)))
@example("//evil.example")
@example("/\\evil.example")
@example("https://evil.example")
@example("/\t/evil.example")
@example("javascript:alert(1)")
@example("/sign-in?next=/sign-in")
@example("/auth/logout")
@example("//[")
def test_one_is_led_to_this_app_only(text: str) -> None:
    led = own_address(text)
    assert led.startswith("/")
    assert not led.startswith(("//", "/\\", "/auth/", "/sign-in"))
    assert not urlsplit(led).netloc
    assert led.isprintable()
    assert led in (text, "/")


def test_signing_in_again_ends_the_former_session(client: TestClient) -> None:
    former = signed_in_as(client, "vera")
    assert fill_in_signed_in(client).status_code == 303
    assert client.get("/studies", headers=BROWSER).status_code == 200
    client.cookies.clear()
    client.cookies.set(COOKIE, former)
    assert client.get("/studies", headers=BROWSER).status_code == 303


def fill_in_signed_in(client: TestClient) -> Any:
    """Send the form of somebody who is in already, as from a second tab that still shows it."""
    client.cookies.set("sleepfm_sign_in", "word", domain="lab.example", path="/sign-in")
    return client.post("/sign-in", data={"csrf": "word", "name": "vera", "password": PASSWORD})


# with a session


@pytest.mark.parametrize(
    ("name", "reads", "sends", "administers"), [("vera", 200, 403, 403), ("sam", 200, 200, 403), ("anna", 200, 200, 200)]
)
def test_who_only_looks_sends_nothing_and_only_admins_administer(
    client: TestClient, name: str, reads: int, sends: int, administers: int
) -> None:
    signed_in_as(client, name)
    assert client.get("/sleepfm/window").status_code == reads
    assert [client.request(method, "/sleepfm/upload").status_code for method in ("POST", "PUT", "DELETE", "PATCH")] == [sends] * 4
    assert client.put("/_stcore/upload_file/a/b").status_code == sends
    assert client.get("/sleepfm/admin").status_code == administers
    assert client.post("/sleepfm/admin").status_code == administers


@pytest.mark.usefixtures("home")
def test_a_route_for_admins_refuses_whoever_came_past_the_gate() -> None:
    async def changed(_request: Request) -> Response:
        return PlainTextResponse("done")

    app = Starlette(routes=[Route("/", requiring(Role.ADMIN, changed))])
    with TestClient(app) as client:
        assert client.get("/").status_code == 403
        ask_for_sign_in(None)
        assert client.get("/").text == "done", "on this machine's own address there is one user, an admin"


@pytest.mark.parametrize("how", ["idle", "at last", "removed", "role", "password", "signed out"])
def test_a_session_ends_at_once_for_requests_and_open_websockets(client: TestClient, home: Home, how: str) -> None:
    token = signed_in_as(client, "vera")
    act = BackMsg()
    act.rerun_script.query_string = ""
    with closing(connect(home.database)) as connection, client.websocket_connect(STREAM) as socket:
        assert message(socket).WhichOneof("type") == "new_session"
        socket.send_bytes(act.SerializeToString())
        assert message(socket).hash.startswith("ran")
        end(connection, token, how)
        socket.send_bytes(act.SerializeToString())
        assert message(socket).auth_redirect.url == "/sign-in?why=ended"
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_bytes()
        assert closed.value.code == 1008
    assert client.get("/studies", headers=BROWSER).status_code == 303
    assert "Your session has ended" in client.get("/sign-in?why=ended").text


def end(connection: Any, token: str, how: str) -> None:
    accounts, long_ago = Accounts(connection), datetime.now(UTC) - IDLE
    if how == "idle":
        connection.execute("UPDATE sessions SET seen_at = ?", (long_ago.isoformat(timespec="microseconds"),))
    elif how == "at last":
        connection.execute("UPDATE sessions SET ends_at = ?", (datetime.now(UTC).isoformat(timespec="microseconds"),))
    elif how == "removed":
        accounts.remove("vera", by="test")
    elif how == "role":
        accounts.set_role("vera", Role.SCORER, by="test")
    elif how == "password":
        accounts.set_password("vera", "other quiet nights", by="test")
    else:
        Sessions(connection).end(token)


def message(socket: Any) -> ForwardMsg:
    received = ForwardMsg()
    received.ParseFromString(socket.receive_bytes())
    return received


def test_a_page_that_only_asks_for_news_by_itself_does_not_keep_its_user_signed_in(client: TestClient, home: Home) -> None:
    signed_in_as(client, "vera")
    before = (datetime.now(UTC) - timedelta(minutes=30)).isoformat(timespec="microseconds")
    by_itself, by_hand = BackMsg(), BackMsg()
    by_itself.rerun_script.is_auto_rerun = True
    by_hand.rerun_script.query_string = "x"
    with closing(connect(home.database)) as connection, client.websocket_connect(STREAM) as socket:
        socket.receive_bytes()
        connection.execute("UPDATE sessions SET seen_at = ?", (before,))
        for sent, moved in ((by_itself, False), (by_hand, True)):
            socket.send_bytes(sent.SerializeToString())
            socket.receive_bytes()
            seen = connection.execute("SELECT seen_at FROM sessions").fetchone()[0]
            assert (seen != before) is moved


def test_what_an_open_page_asks_for_by_itself_does_not_keep_its_user_signed_in(client: TestClient, home: Home) -> None:
    signed_in_as(client, "anna")
    before = (datetime.now(UTC) - timedelta(minutes=30)).isoformat(timespec="microseconds")
    with closing(connect(home.database)) as connection:
        connection.execute("UPDATE sessions SET seen_at = ?", (before,))
        for path, moved in (
            ("/sleepfm/runs/curves?run=1", False),
            ("/sleepfm/review/changes?study=x&scoring=1&since=0", False),
            ("/sleepfm/overview?study=x", True),
        ):
            assert client.get(path).status_code == 200
            assert (connection.execute("SELECT seen_at FROM sessions").fetchone()[0] != before) is moved


def test_nobody_takes_up_the_page_of_somebody_else(client: TestClient) -> None:
    """Streamlit gives a page that lost its connection back to whoever knows its number."""
    signed_in_as(client, "anna")
    with client.websocket_connect(STREAM, headers=again("page-1")) as socket:
        assert message(socket).new_session.initialize.session_id == "page-1"
    assert protocols_seen(client) == "ran; streamlit, xsrf, page-1", "their own page they get back"
    signed_in_as(client, "vera")
    assert protocols_seen(client) == "ran; streamlit, xsrf"


def again(page: str) -> dict[str, str]:
    return {"Sec-WebSocket-Protocol": f"streamlit, xsrf, {page}"}


def protocols_seen(client: TestClient) -> str:
    with client.websocket_connect(STREAM, headers=again("page-1")) as socket:
        socket.receive_bytes()
        socket.send_bytes(BackMsg().SerializeToString())
        return message(socket).hash


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
def test_another_sites_page_opens_no_websocket_with_somebodys_cookie(client: TestClient, headers: dict[str, str]) -> None:
    signed_in_as(client, "anna")
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(STREAM, headers=headers):
        pass


def test_sign_ins_are_in_the_audit_log_and_passwords_and_tokens_nowhere(
    client: TestClient, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fill_in(client, "vera", "not her password")
    token = signed_in_as(client, "vera")
    client.get("/studies")
    with closing(connect(home.database)) as connection:
        assert next((one.user, one.action) for one in entries(connection)) == ("vera", "sign in")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    written = b"".join(file.read_bytes() for file in home.root.rglob("*") if file.is_file()) + caplog.text.encode()
    for secret in (PASSWORD, "not her password", token):
        assert secret.encode() not in written


# the identity provider


def by_provider(home: Home, claims: dict[str, Any] | None, provider: IdentityProvider = PROVIDER) -> Response:
    scope = {"type": "http", "method": "GET", "path": "/oauth2callback", "headers": [(b"host", b"lab.example")],
             "query_string": b"", "scheme": "https", "server": ("lab.example", 443)}  # fmt: skip
    return SignIn(home, provider).by_provider(Request(scope), claims)


def test_whom_the_provider_names_comes_in_by_their_address_only(home: Home) -> None:
    with closing(connect(home.database)) as connection:
        Accounts(connection).add("cleo@example.org", Role.SCORER, None, by="test")
    answer = by_provider(home, {"email": "Cleo@Example.org", "email_verified": True})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert any(COOKIE in value for name, value in answer.headers.items() if name == "set-cookie")
    stranger = by_provider(home, {"email": "<b>mallory@example.org", "email_verified": True})
    assert stranger.status_code == 403
    assert b"&lt;b&gt;mallory@example.org is not a user of this installation" in bytes(stranger.body)


@pytest.mark.parametrize(
    "claims",
    [
        None,
        {},
        {"email": ""},
        {"email": None, "name": "Cleo"},
        {"email": "vera", "email_verified": False},
        {"email": "vera", "email_verified": "false"},
        {"email": "vera", "email_verified": None},
        {"email": "vera"},
    ],
)
def test_whom_the_provider_does_not_vouch_for_stays_out(home: Home, claims: dict[str, Any] | None) -> None:
    answer = by_provider(home, claims)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?why=provider")
    assert "set-cookie" not in answer.headers


def test_an_address_of_which_nothing_is_said_counts_only_where_the_site_says_so(home: Home) -> None:
    with closing(connect(home.database)) as connection:
        Accounts(connection).add("cleo@example.org", Role.SCORER, None, by="test")
    trusting = PROVIDER.model_copy(update={"trust_unmarked_email": True})
    assert by_provider(home, {"email": "cleo@example.org"}, trusting).headers["location"] == "/"
    refused = by_provider(home, {"email": "cleo@example.org", "email_verified": False}, trusting)
    assert refused.headers["location"] == "/sign-in?why=provider"


def test_who_has_a_password_does_not_come_in_through_the_provider(home: Home) -> None:
    answer = by_provider(home, {"email": "vera", "email_verified": True})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?why=password")
    assert "set-cookie" not in answer.headers


def test_a_made_up_provider_cookie_lets_nobody_in(home: Home) -> None:
    with TestClient(app_behind_gate(home, PROVIDER), base_url="http://lab.example", follow_redirects=False) as client:
        client.cookies.set("_streamlit_user", "made-up", domain="lab.example")
        assert client.get("/studies", headers=BROWSER).status_code == 303
        assert client.get("/oauth2callback", headers=BROWSER).headers["location"] == "/sign-in?why=provider"
        assert COOKIE not in client.cookies


def test_the_page_offers_the_provider_without_scripts(home: Home) -> None:
    with TestClient(app_behind_gate(home, PROVIDER), base_url="http://lab.example") as client:
        assert 'href="/sign-in/provider?next=%2F">Sign in with Example University</a>' in client.get("/sign-in").text


def test_pages_outside_of_the_app_belong_to_nobody(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """`streamlit run app.py` listens on every address and has no gate: its pages show nothing."""

    class Stopped(Exception):  # noqa: N818 - stands for Streamlit's own way to end a page
        pass

    def stop() -> None:
        raise Stopped

    monkeypatch.setattr(signed_in.st, "stop", stop)
    ask_for_sign_in(None)
    assert signed_in.current_user().local
    monkeypatch.setattr(signed_in.config, "get_option", lambda _name: None)
    with pytest.raises(Stopped):
        signed_in.current_user()
    ask_for_sign_in(home)
    with pytest.raises(Stopped):
        signed_in.current_user()

"""What a site says of its identity provider: read from one private file or the environment, and never repeated."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sleepfm.administration.identity_provider import SECRETS_FILE, read_identity_provider
from sleepfm.errors import RequestError
from sleepfm.home import Home, open_home

SECRET = "kept-between-the-two"
GOOD = {
    "metadata_url": "https://id.example.org/.well-known/openid-configuration",
    "client_id": "sleepfm",
    "client_secret": SECRET,
    "redirect_uri": "https://lab.example.org/oauth2callback",
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path)


def written(home: Home, content: dict[str, str], mode: int = 0o600) -> None:
    file = home.root / SECRETS_FILE
    file.write_text("[oidc]\n" + "".join(f'{name} = "{value}"\n' for name, value in content.items()))
    file.chmod(mode)


def test_a_site_without_one_has_none(home: Home) -> None:
    assert read_identity_provider(home, {}) is None


def test_it_is_read_from_the_file(home: Home) -> None:
    written(home, GOOD)
    found = read_identity_provider(home, {})
    assert found is not None
    assert found.client_secret.get_secret_value() == SECRET
    assert SECRET not in repr(found)
    assert SECRET not in found.model_dump_json()


def test_the_environment_comes_first_and_keeps_no_secret_for_background_jobs(home: Home) -> None:
    written(home, GOOD | {"client_secret": "of the file"})
    environment = {"SLEEPFM_OIDC_CLIENT_SECRET": SECRET, "SLEEPFM_OIDC_LABEL": "Our clinic", "PATH": "/bin"}
    found = read_identity_provider(home, environment)
    assert found is not None
    assert (found.client_secret.get_secret_value(), found.label) == (SECRET, "Our clinic")
    assert SECRET not in environment.values()
    assert environment["PATH"] == "/bin"


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o622])
def test_a_file_that_others_can_read_is_refused(home: Home, mode: int) -> None:
    written(home, GOOD, mode)
    with pytest.raises(RequestError, match=f"chmod 600 .*{SECRETS_FILE}"):
        read_identity_provider(home, {})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"metadata_url": "http://id.example.org/x"}, "metadata_url: .*https"),
        ({"metadata_url": "id.example.org"}, "metadata_url: .*full address"),
        ({"redirect_uri": "https://lab.example.org/"}, "redirect_uri: .*oauth2callback"),
        ({"redirect_uri": "https://lab.example.org/app/oauth2callback"}, "redirect_uri: .*oauth2callback"),
        ({"redirect_uri": "http://lab.example.org/oauth2callback"}, "redirect_uri: .*https"),
        ({"client_id": ""}, "client_id"),
        ({"client_secret": ""}, "client_secret"),
        ({"client_secrte": SECRET}, "client_secrte"),
    ],
)
def test_what_is_wrong_is_named_and_no_value_is_repeated(home: Home, wrong: dict[str, str], said: str) -> None:
    written(home, GOOD | wrong)
    with pytest.raises(RequestError, match=said) as refused:
        read_identity_provider(home, {})
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", [f'client_secret = "{SECRET}', "oidc = 3", f"[oidc]\nclient_secret = {SECRET}", "\xff\xfe"])
def test_a_damaged_file_is_named_without_its_content(home: Home, text: str) -> None:
    file = home.root / SECRETS_FILE
    file.write_bytes(text.encode("latin-1"))
    file.chmod(0o600)
    with pytest.raises(RequestError, match=SECRETS_FILE) as refused:
        read_identity_provider(home, {})
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None, "the parser's own words quote the line"


def test_half_of_it_in_the_environment_names_what_lacks(home: Home) -> None:
    with pytest.raises(RequestError, match=r"client_secret: .*redirect_uri: "):
        read_identity_provider(home, {"SLEEPFM_OIDC_CLIENT_ID": "x", "SLEEPFM_OIDC_METADATA_URL": GOOD["metadata_url"]})

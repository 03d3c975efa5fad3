"""The identity provider of a site (OpenID Connect): what the app needs to know to let people sign in through it.

It stands in `secrets.toml` of the home folder, readable by its owner alone, or in the environment. The secret leaves this
module only as a `SecretStr`.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from sleepfm.errors import RequestError
from sleepfm.home import Home

CALLBACK = "/oauth2callback"
"""Where the provider sends people back to; the address registered with it ends so."""
SECRETS_FILE = "secrets.toml"
"""In the home folder; no backup, bundle or log takes it along."""
_PREFIX = "SLEEPFM_OIDC_"


class IdentityProvider(BaseModel):
    """A provider and this app's place in it.

    Attributes
    ----------
    metadata_url
        Its discovery document, `https://…/.well-known/openid-configuration`.
    redirect_uri
        This app's own address as browsers see it, ending in `/oauth2callback`, as it is registered with the provider.
    label
        What the button on the sign-in page calls it.
    trust_unmarked_email
        Whether to believe an address of which the provider does not say if it is verified (Microsoft Entra ID does not):
        only where people cannot change their own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    metadata_url: str
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)
    redirect_uri: str
    label: str = Field("your institution", min_length=1, max_length=60)
    trust_unmarked_email: bool = False

    @field_validator("metadata_url", "redirect_uri")
    @classmethod
    def _address(cls, text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be a full address (https://…)")
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("must be https: tokens travel to it")
        return text

    @field_validator("redirect_uri")
    @classmethod
    def _callback(cls, text: str) -> str:
        if urlsplit(text).path != CALLBACK:
            raise ValueError(f"must end in {CALLBACK}, right after the host")
        return text


def read_identity_provider(home: Home, environment: MutableMapping[str, str] | None = None) -> IdentityProvider | None:
    """Return the provider, None when the site has none.

    The variables `SLEEPFM_OIDC_METADATA_URL`, `_CLIENT_ID`, `_CLIENT_SECRET`, `_REDIRECT_URI` and `_LABEL` come before the
    `[oidc]` table of `secrets.toml`. The secret is taken out of the environment, so that background jobs do not inherit it.

    Raises
    ------
    RequestError
        When the file can be read by others, or something is missing or wrong; the line never repeats a value.
    """
    environment = os.environ if environment is None else environment
    found = _from_file(home) | {
        name: value for name in IdentityProvider.model_fields if (value := environment.get(_PREFIX + name.upper()))
    }
    environment.pop(f"{_PREFIX}CLIENT_SECRET", None)
    if not found:
        return None
    try:
        return IdentityProvider.model_validate(found)
    except ValidationError as error:
        words = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False))
        raise RequestError(
            f"{home.root / SECRETS_FILE} or {_PREFIX}…: the identity provider is not described well: {words}"
        ) from None


def _from_file(home: Home) -> dict[str, Any]:
    file = home.root / SECRETS_FILE
    try:
        if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise RequestError(f"{file}: others on this machine can read it; run: chmod 600 {file}")
        content = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RequestError(f"{file}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise RequestError(f"{file}: is no TOML file; it needs a table [oidc]") from None  # the parser's words quote the line
    table = content.get("oidc", {})
    if not isinstance(table, dict):
        raise RequestError(f"{file}: oidc must be a table: [oidc]")
    return table

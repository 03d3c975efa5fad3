"""The sign-in page: plain HTML that works without scripts, by keyboard, and with a password manager."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

SIGN_IN_PATH = "/sign-in"
STYLE_PATH = "/sign-in/style.css"
ICON_PATH = "/sign-in/icon.svg"
PROVIDER_PATH = "/sign-in/provider"

WRONG = (
    "This name and password do not fit together. After five wrong passwords in a row an account is locked: for half a minute"
    " first, then longer, up to a quarter of an hour."
)
REMARKS = {
    "ended": "Your session has ended. Sign in to go on.",
    "out": "You are signed out.",
    "provider": "The identity provider did not confirm who you are. Try again.",
    "password": "You have a password here: sign in with it.",
}
"""What the page says above the form, by the word in its address."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
}


@dataclass(frozen=True)
class Remark:
    """A sentence above the form."""

    words: str
    bad: bool = False


def sign_in_page(
    *, csrf: str, wanted: str, passwords: bool, provider: str | None, provider_address: str, name: str = "", remark: Remark | None
) -> str:
    """Return the page.

    Parameters
    ----------
    csrf
        Stands in the form and in a cookie; only a form of this page has both.
    wanted
        Where to go afterwards.
    passwords
        Whether there is anybody who signs in with a password.
    provider
        What the site's identity provider is called; None when there is none.
    """
    parts = []
    if passwords:
        there = " autofocus"
        at_name, at_password = ("", there) if name else (there, "")
        fields = {"csrf": escape(csrf), "wanted": escape(wanted), "name": escape(name)}
        parts.append(_FORM.format(**fields, at_name=at_name, at_password=at_password))
    if provider is not None:
        if passwords:
            parts.append('<p class="or">or</p>')
        look = "button second" if passwords else "button"
        parts.append(f'<a class="{look}" href="{escape(provider_address)}">Sign in with {escape(provider)}</a>')
    return _page("Sign in", remark, "\n".join(parts))


def stranger_page(who: str) -> str:
    """Return the page for somebody whom the identity provider knows and this installation does not."""
    remark = Remark(f"{who} is not a user of this installation. Ask its administrator to add this address.", bad=True)
    return _page("Not a user", remark, f'<a class="button second" href="{SIGN_IN_PATH}">Sign in as somebody else</a>')


def _page(title: str, remark: Remark | None, body: str) -> str:
    said = ""
    if remark is not None:
        look, role = ("said bad", "alert") if remark.bad else ("said", "status")
        said = f'<p class="{look}" role="{role}">{escape(remark.words)}</p>'
    return _PAGE.format(title=escape(title), said=said, body=body)


_FORM = f"""<form method="post" action="{SIGN_IN_PATH}">
<input type="hidden" name="csrf" value="{{csrf}}">
<input type="hidden" name="next" value="{{wanted}}">
<label>Name or e-mail
<input name="name" value="{{name}}" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="254"
 required{{at_name}}></label>
<label>Password
<input name="password" type="password" autocomplete="current-password" maxlength="1000" required{{at_password}}></label>
<button type="submit">Sign in</button>
</form>"""

_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{title}} · SleepFM Workbench</title>
<link rel="icon" href="{ICON_PATH}">
<link rel="stylesheet" href="{STYLE_PATH}">
</head>
<body>
<main>
<header><img src="{ICON_PATH}" alt=""><div><h1>SleepFM Workbench</h1><p>{{title}}</p></div></header>
{{said}}
{{body}}
<footer>Research use. Nothing here is a diagnosis.</footer>
</main>
</body>
</html>
"""

"""Who may do what."""

from __future__ import annotations

from sleepfm.administration.roles import Role


def test_each_role_may_do_what_those_before_it_may_and_nothing_of_those_after() -> None:
    allowed = {(str(role), str(needed)) for role in Role for needed in Role if role.allows(needed)}
    assert allowed == {
        ("viewer", "viewer"),
        ("scorer", "viewer"),
        ("scorer", "scorer"),
        ("admin", "viewer"),
        ("admin", "scorer"),
        ("admin", "admin"),
    }

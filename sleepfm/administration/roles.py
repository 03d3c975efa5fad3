"""What a user may do: who only looks, who works on studies, who runs the installation."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Roles from the least to the most; each may do what those before it may."""

    VIEWER = "viewer"
    """Looks at studies and results; changes nothing."""
    SCORER = "scorer"
    """Also adds studies, stages, scores and signs them, corrects channels, exports, and asks for risks, neighbours and maps."""
    ADMIN = "admin"
    """Also models, training, runs, settings and users."""

    def allows(self, needed: Role) -> bool:
        """Whether somebody of this role may do what asks for `needed`."""
        order = list(Role)
        return order.index(self) >= order.index(needed)

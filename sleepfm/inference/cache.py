"""Keys of derived artefacts: what was computed from the same things in the same way need not be computed again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_jsonable_python

STEP_VERSIONS: dict[str, int] = {"signals": 1, "embedding": 1, "staging": 1, "disease": 1}
"""Raise a step's number whenever its results change for the same inputs."""


def key(step: str, inputs: Mapping[str, Any]) -> str:
    """Return the key of an artefact.

    Parameters
    ----------
    step
        What makes it, a name of `STEP_VERSIONS`, whose version is part of the key.
    inputs
        Everything that the result depends on: hashes of files and weights, recipe, settings. The order does not matter.

    Returns
    -------
    str
        64 hexadecimal digits, equal only for equal inputs.
    """
    content = {"step": step, "version": STEP_VERSIONS[step], "inputs": to_jsonable_python(inputs)}
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()

"""Channel labels as HDF5 names: any label fits, no two channels share a name, and the label can be had back."""

from __future__ import annotations

from collections.abc import Iterable


def encode(label: str) -> str:
    """Return a legal HDF5 link name for a label; `urllib.parse.unquote` gives the label back.

    HDF5 takes "/" for a folder, ends a name at NUL, reads "." as "here", and has no empty names. So "/", "%" and unprintable
    characters become %XX of their UTF-8 bytes, names of dots only have their dots escaped, and the empty label becomes "%".
    """
    if not label.strip("."):
        return label.replace(".", "%2E") or "%"
    return "".join(_escaped(c) if c in "/%" or not c.isprintable() else c for c in label)


def unique_names(labels: Iterable[str]) -> list[str]:
    """Return one name per label; a label that came before gets _1, _2, … (as the published code does)."""
    names: list[str] = []
    taken: set[str] = set()
    for label in labels:
        base = encode(label)
        name, number = base, 0
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        names.append(name)
    return names


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))

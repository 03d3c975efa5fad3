"""Draws settings as a form: one widget a setting, what is wrong with it below it. Knows no setting by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import streamlit as st
from pydantic import BaseModel

from sleepfm.text import plain, printable
from sleepfm.viewer.form_draft import Draft, Place
from sleepfm.viewer.form_schema import (
    REMOVE,
    Choice,
    FormField,
    Group,
    Groups,
    Lines,
    Many,
    Numbers,
    OneOf,
    Parts,
    Scalar,
    Shape,
    Switch,
    at,
    complete,
    fields_of,
    number_of,
    text_of,
    value_of,
)

COLUMNS = 4
NOTHING = "none"


class FieldDrawer:
    """Draws the fields of one form.

    Parameters
    ----------
    draft
        The form.
    problems
        What is wrong, by the setting's place.
    """

    def __init__(self, draft: Draft, problems: Mapping[Place, str]) -> None:
        self.draft = draft
        self.problems = problems

    def problem(self, place: Place) -> str:
        """Return what is wrong with a setting, or with the first thing within it that is."""
        if place in self.problems:
            return self.problems[place]
        inner = (words for other, words in self.problems.items() if other[: len(place)] == place)
        return next(inner, "")

    # groups

    def settings(self, model: type[BaseModel], place: Place = (), *, without: Sequence[str] = (), columns: int = COLUMNS) -> None:
        """Draw the settings of a model that are no groups: short ones side by side, switches below them, then the others."""
        fields = [one for one in fields_of(model) if one.name not in without]
        short = [one for one in fields if isinstance(one.shape, Scalar | Choice)]
        switches = [one for one in fields if isinstance(one.shape, Switch)]
        for line in (*_lines(short, columns), *_lines(switches, columns)):
            for column, one in zip(st.columns(columns), line, strict=False):
                with column:
                    self.field(one, place)
        for one in fields:
            if not isinstance(one.shape, Scalar | Choice | Switch | Group):
                self.field(one, place)

    def box(self, title: str, model: type[BaseModel], place: Place = (), *, without: Sequence[str] = (), about: str = "") -> None:
        """Draw the settings of a model in a box that opens; a sign on it says that something within does not fit."""
        within = [one.name for one in fields_of(model) if one.name not in without and (place or not isinstance(one.shape, Group))]
        wrong = any(self.problem((*place, name)) for name in within)
        key = self.draft.beside(f"box {'.'.join(place)}")
        with st.expander(plain(title), icon=":material/error:" if wrong else None, key=key):
            if about:
                st.caption(plain(about))
            if place:
                self._inner(model, place, without)
            else:
                self.settings(model, without=without)

    def group(self, one: FormField) -> None:
        """Draw a group of the form's own settings in a box."""
        assert isinstance(one.shape, Group)
        self.box(one.label, one.shape.model, (one.name,), about=one.help)

    def _inner(self, model: type[BaseModel], place: Place, without: Sequence[str] = ()) -> None:
        """Draw settings, then the groups among them under their names."""
        self.settings(model, place, without=without)
        for one in fields_of(model):
            if isinstance(one.shape, Group) and one.name not in without:
                st.markdown(f"**{plain(one.label)}**", help=plain(one.help))
                self._inner(one.shape.model, (*place, one.name))

    # one setting

    def field(self, one: FormField, place: Place = ()) -> None:
        """Draw one setting with what is wrong below it."""
        here = (*place, one.name)
        self._draw(one.shape, here, plain(one.label), plain(one.help), one)
        words = "" if isinstance(one.shape, Groups | Group) else self.problem(here)
        if words:
            self.say(words)

    @staticmethod
    def say(words: str) -> None:
        """Say what is wrong with the field above."""
        st.markdown(f":red[:small[:material/error: {plain(words)}]]")

    def _draw(self, shape: Shape, place: Place, label: str, said: str, one: FormField) -> None:
        match shape:
            case Scalar():
                self._scalar(shape, place, label, said)
            case Switch():
                key, begun = self._begun(place, bool(at(self.draft.content, place)))
                st.toggle(label, begun, key=key, help=said, on_change=self._took, args=(place, key))
            case Choice():
                self._choice(shape, place, label, said)
            case Many():
                self._many(shape, place, label, said)
            case Lines():
                self._many_lines(place, label, said)
            case Numbers(names=None):
                self._free_numbers(place, label, said)
            case Numbers():
                self._named_numbers(shape.names or (), place, label, said)
            case Parts():
                self._parts(shape, place, label, said, one.parts)
            case Groups():
                self._groups(shape, place, label, said)
            case OneOf():
                self._one_of(shape, place, label, said, one)
            case Group():
                raise TypeError(f"{'.'.join(place)}: a group is drawn by `group`")

    def _scalar(self, shape: Scalar, place: Place, label: str, said: str) -> None:
        key, begun = self._begun(place, text_of(at(self.draft.content, place)))

        def changed() -> None:
            self.draft.set(place, value_of(st.session_state[key], shape))

        st.text_input(
            label,
            begun,
            key=key,
            help=said or None,
            placeholder=NOTHING if shape.optional else None,
            on_change=changed,
            live=True,
        )

    def _choice(self, shape: Choice, place: Place, label: str, said: str) -> None:
        options = [None, *shape.options] if shape.optional else list(shape.options)
        value = at(self.draft.content, place)
        strange = value not in options  # from a file: shown, and what is wrong with it below
        options = [*options, value] if strange else options
        key, begun = self._begun(place, value)
        index = options.index(begun) if begun in options else 0
        st.selectbox(label, options, index, key=key, help=said, format_func=_words, on_change=self._took, args=(place, key))

    def _many(self, shape: Many, place: Place, label: str, said: str) -> None:
        value = [one for one in at(self.draft.content, place) or [] if one in shape.options]
        key, begun = self._begun(place, value)
        st.multiselect(
            label, shape.options, begun, key=key, help=said, format_func=_words, on_change=self._took, args=(place, key)
        )

    def _many_lines(self, place: Place, label: str, said: str) -> None:
        value = at(self.draft.content, place)
        key, begun = self._begun(place, "\n".join(str(one) for one in value) if isinstance(value, list) else "")

        def changed() -> None:
            lines = st.session_state[key].splitlines()
            self.draft.set(place, [line.strip() for line in lines if line.strip()])

        st.text_area(label, begun, key=key, help=said, placeholder="one a line", height=68, on_change=changed)

    def _free_numbers(self, place: Place, label: str, said: str) -> None:
        """Draw a number for each name there is; an emptied one goes, and `name = number` adds one."""
        values = at(self.draft.content, place)
        names = [str(name) for name in values] if isinstance(values, Mapping) else []
        adding = self.draft.key((*place, "+"))

        def changed(name: str, key: str) -> None:
            text = st.session_state[key]
            self.draft.set((*place, name), number_of(text) if text.strip() else REMOVE)

        def added() -> None:
            name, sign, text = st.session_state[adding].partition("=")
            if sign and name.strip() and text.strip():
                self.draft.set((*place, name.strip()), number_of(text))
                st.session_state[adding] = ""

        st.markdown(f"{label}", help=said)
        for line in _lines([*names, None], COLUMNS):
            for column, name in zip(st.columns(COLUMNS), line, strict=False):
                with column:
                    if name is None:
                        st.text_input("Add a number", key=adding, placeholder="name = number", on_change=added)
                        continue
                    key, begun = self._begun((*place, name), text_of(values[name]))
                    st.text_input(
                        plain(name), begun, key=key, on_change=changed, args=(name, key), placeholder="Enter takes it away"
                    )

    def _named_numbers(self, names: tuple[str, ...], place: Place, label: str, said: str) -> None:
        def changed(name: str, key: str) -> None:
            text = st.session_state[key]
            self.draft.set((*place, name), number_of(text) if text.strip() else REMOVE)

        st.markdown(label, help=said)
        for line in _lines(list(names), COLUMNS):
            for column, name in zip(st.columns(COLUMNS), line, strict=False):
                key, begun = self._begun((*place, name), text_of(at(self.draft.content, (*place, name))))
                column.text_input(
                    plain(name), begun, key=key, placeholder=NOTHING, on_change=changed, args=(name, key), live=True
                )  # fmt: skip

    def _parts(self, shape: Parts, place: Place, label: str, said: str, names: tuple[str, ...]) -> None:
        values = at(self.draft.content, place)
        values = list(values) if isinstance(values, list) else []

        def changed(index: int, key: str) -> None:
            now = (list(at(self.draft.content, place)) + [""] * shape.count)[: shape.count]
            now[index] = number_of(st.session_state[key])
            self.draft.set(place, now)

        st.markdown(label, help=said)
        for index, column in enumerate(st.columns(shape.count)):
            key, begun = self._begun((*place, str(index)), text_of(values[index]) if index < len(values) else "")
            name = names[index] if index < len(names) else str(index + 1)
            column.text_input(plain(name), begun, key=key, on_change=changed, args=(index, key), live=True)

    def _groups(self, shape: Groups, place: Place, label: str, said: str) -> None:
        st.markdown(label, help=said)
        values = at(self.draft.content, place) or {}
        for name in shape.names:
            here, key = (*place, name), self.draft.key((*place, name))

            def changed(here: Place = here, key: str = key) -> None:
                self.draft.set(here, self._first(here) if st.session_state[key] else REMOVE)

            _, begun = self._begun(here, name in values)
            switch, *columns = st.columns([1, *(_share(one) for one in fields_of(shape.model))])
            switch.toggle(plain(name), begun, key=key, on_change=changed)
            if name in values:
                for column, one in zip(columns, fields_of(shape.model), strict=True):
                    with column:
                        self.field(one, here)
        if words := self.problems.get(place):
            self.say(words)

    def _first(self, place: Place) -> Any:
        """Return what a group begins with when it is switched on: what the preset or the settings themselves hold there."""
        for content in (self.draft.preset_content, complete(self.draft.kind, {})):
            value = at(content, place)
            if value is not None:
                return value
        return {}

    def _one_of(self, shape: OneOf, place: Place, label: str, said: str, one: FormField) -> None:
        value = at(self.draft.content, place)
        now = shape.alternatives.index(value) if _is_word(value) and value in shape.alternatives else None
        if now is None:
            now = next((index for index, other in enumerate(shape.alternatives) if _fits(other, value)), 0)
        key = self.draft.key((*place, "?"))
        if key not in st.session_state:
            st.session_state[key] = now

        def changed() -> None:
            self.draft.set(place, _beginning(shape.alternatives[st.session_state[key]]))

        left, right = st.columns([1, COLUMNS - 1])
        with left:
            st.selectbox(
                label,
                range(len(shape.alternatives)),
                key=key,
                help=said,
                format_func=lambda index: _alternative(shape.alternatives[index]),
                on_change=changed,
            )
        chosen = shape.alternatives[now]
        if chosen is not None and not isinstance(chosen, str):
            with right:
                self._draw(chosen, place, "Value" if isinstance(chosen, Scalar) else ":gray[for each]", "", one)

    def _begun(self, place: Place, value: Any) -> tuple[str, Any]:
        """Return the key of a setting's widget and what it begins with; afterwards its user's word stays.

        What is called when the widget changes goes by this key: another field that changed in the same moment may have filled
        the form anew, and the draft's keys are other ones then. The beginning is given to the widget itself and not put into
        the session: the browser sends a widget's own beginning, never an empty one, while it is still being drawn.
        """
        key = self.draft.key(place)
        if key not in st.session_state:
            self.draft.begun[key] = value
        return key, self.draft.begun.get(key, value)

    def _took(self, place: Place, key: str) -> None:
        self.draft.set(place, st.session_state[key])


def _lines(items: Sequence[Any], columns: int) -> Iterator[Sequence[Any]]:
    return (items[first : first + columns] for first in range(0, len(items), columns))


def _words(option: Any) -> str:
    return NOTHING if option is None else printable(str(option)).replace("_", " ")


def _share(one: FormField) -> int:
    return 4 if isinstance(one.shape, Many) else 1


def _is_word(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _fits(alternative: Shape | str | None, value: Any) -> bool:
    match alternative:
        case Scalar(number=True):
            return isinstance(value, int | float | str)
        case Numbers():
            return isinstance(value, dict)
        case Parts() | Many() | Lines():
            return isinstance(value, list)
    return False


def _beginning(alternative: Shape | str | None) -> Any:
    match alternative:
        case None | str():
            return alternative
        case Scalar():
            return 1
        case Numbers():
            return {}
        case Parts():
            return [1] * alternative.count
    return []


def _alternative(alternative: Shape | str | None) -> str:
    match alternative:
        case None:
            return NOTHING
        case str():
            return _words(alternative)
        case Scalar():
            return "a number"
    return "one for each"

"""One model on the models page: what may be done with it, its card, its quality, where it came from and what used it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from sleepfm.errors import SleepFMError
from sleepfm.library.library import Library
from sleepfm.library.model_use import ModelUse, RunUse, made_by, remove_unused, uses
from sleepfm.models.card import SIMULATED, Task
from sleepfm.models.readme import SIMULATED_NOTICE
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.text import plain, printable
from sleepfm.viewer.chart_export import show_chart
from sleepfm.viewer.models_figure import quality_figure
from sleepfm.viewer.models_routes import export_address
from sleepfm.viewer.models_words import TASK_WORDS, card_rows, default_of, default_words, metric_rows, state_words, training_rows
from sleepfm.viewer.signed_in import acting

MESSAGES = "models said"
"""Key of the session under which stands what the last action had to say, until the page is drawn again."""
_SHOWN_RUNS = 8
_EFFECTS: dict[Task, str] = {
    Task.ENCODER: "is taken to embed, index and fine-tune",
    Task.STAGING: "stages when SleepFM is asked for",
    Task.BREATHING: "finds breathing events",
    Task.DISEASE: "is offered first for risks",
    Task.PROBE: "answers",
}
"""What the default of a task does while nobody names another model."""


def show_model(library: Library, entry: ShelfEntry) -> None:
    """Show a model."""
    shelf, card = Shelf(library.home.models), entry.card
    default = default_of(shelf, card.task)
    is_default = default is not None and default.folder == entry.folder
    used = uses(library, entry)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="model-head"):
        st.subheader(plain(entry.name), width="content", anchor=False)
        st.badge(TASK_WORDS[card.task], color="gray")
        if is_default:
            st.badge(f"default, {default_words(shelf, entry)}", color="green")
        state = state_words(shelf, entry)
        if state != "offered":
            st.badge(state, color="orange")
        if card.trained_on == SIMULATED:
            st.badge("simulated", color="violet")
        if entry.bundled:
            st.badge("came with the software", color="gray")
    if card.trained_on == SIMULATED:
        st.info(SIMULATED_NOTICE, icon=":material/science:")
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="model-actions"):
        _show_actions(library, shelf, entry, used)
    left, right = st.columns([1, 1], gap="medium")
    with left:
        st.markdown("**Card**")
        st.markdown(_table(card_rows(card)))
        _show_origin(library, entry)
    with right:
        _show_quality(entry)
        _show_use(entry, used)


def _show_actions(library: Library, shelf: Shelf, entry: ShelfEntry, used: ModelUse) -> None:
    name, task = entry.name, entry.card.task
    if shelf.chosen(task) == name:
        if st.button(
            "Take the default back", help="Which model is the default is then decided by rule: real ones, newest first."
        ):
            _act(library, "take default back", name, partial(shelf.unchoose, task), f"{name} is no chosen default any more.")
    elif shelf.is_offered(name) and not entry.card.baseline:
        help_words = f"The default for {TASK_WORDS[task]} {_EFFECTS[task]} while nobody names another."
        if not entry.card.real:
            help_words += (
                " “Best engine” takes only models known to be trained on real recordings: this one is still to be named."
            )
        if st.button("Make it the default", type="primary", help=help_words):
            done = f"{name} is the default for {TASK_WORDS[task]}."
            _act(library, "promote model", name, partial(shelf.choose, name), done)
    if task is Task.ENCODER and shelf.is_offered(name):
        st.page_link(
            "pages/finetune.py",
            label="Fine-tune from it",
            icon=":material/tune:",
            query_params={"task": "staging", "encoder": name},
        )
    if shelf.is_retired(name):
        if st.button("Bring it back"):
            _act(library, "bring model back", name, partial(shelf.bring_back, name), f"{name} is offered again.")
    else:
        with st.popover("Retire"):
            st.markdown(plain(_retire_words(entry, used)))
            if st.button("Retire it", key=f"retire {name}"):
                _act(library, "retire model", name, partial(shelf.retire, name), f"{name} is retired: offered no more.")
    about = "Weights, card and reference as one zip file, which Import takes."
    st.html(f'<a class="export" href="{export_address(name)}" download title="{about}">Export</a>', width="content")
    why = "It came with the software." if entry.bundled else f"Used by {used.words()}: retire it instead." if used.any else ""
    with st.popover("Remove", disabled=bool(why), help=plain(why) or None):
        st.markdown("Nothing used it. Its files are deleted; this cannot be taken back.")
        if st.button("Remove it for good", key=f"remove {name}"):
            _act(library, "remove model", name, partial(remove_unused, library, name), f"{name} is off the shelf.")


def _act(library: Library, action: str, name: str, do: Callable[[], object], done: str) -> None:
    """Do what an admin asked for, with its line in the audit log, and draw the page again."""
    try:
        with acting(library, action, name):
            do()
    except SleepFMError as error:
        said = ("error", str(error))
    else:
        said = ("success", done)
    st.session_state.setdefault(MESSAGES, []).append(said)
    st.rerun()


def _retire_words(entry: ShelfEntry, used: ModelUse) -> str:
    words = f"{entry.name} will be offered no more, and be taken by nothing unless it is named."
    if used.heads:
        words += f" The heads that need it rest with it: {', '.join(used.heads)}."
    if used.studies:
        words += f" What it made of {_counted(len(used.studies), 'study', 'studies')} stays and can be read."
    return f"{words} It can be brought back."


def _show_quality(entry: ShelfEntry) -> None:
    st.markdown("**Measured quality**")
    metrics = entry.card.metrics
    if not metrics:
        st.caption("Nothing was measured: judge this model on your own recordings before you rely on it.")
        return
    figure = quality_figure(metrics)
    if figure is not None:
        show_chart(
            figure,
            f"{entry.name}_quality",
            theme=None,
            key=f"quality {entry.name}",
            alt="Measured figures with intervals",
        )
    with st.expander("As a table", expanded=figure is None):
        st.dataframe(metric_rows(metrics), hide_index=True, alt="Measured figures with intervals")
    data = list(dict.fromkeys(metric.data for metric in metrics if metric.data))
    if data:
        st.caption(plain(f"Bars are intervals as the evaluation gave them. Measured on {'; '.join(data[:2])}."))


def _show_origin(library: Library, entry: ShelfEntry) -> None:
    st.markdown("**Where it was trained**")
    run = made_by(library, entry)
    rows = training_rows(entry.card)
    if run is not None:
        _show_run(run)
    if rows:
        st.markdown(_table(rows))
    elif run is None:
        st.caption("Neither the card nor a run of this installation says where.")


def _show_use(entry: ShelfEntry, used: ModelUse) -> None:
    st.markdown("**What used it**")
    if not used.any:
        st.caption("Nothing yet: no study, no run and no head of this installation.")
        return
    for words, names in (("Heads made for it", used.heads), ("Stands for age and sex alone beside", used.compared)):
        if names:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.markdown(f"{words}:", width="content")
                for name in names:
                    st.page_link("pages/models.py", label=plain(name), query_params={"model": name})
    if used.runs:
        st.markdown(f"{_counted(len(used.runs), 'run', 'runs')}:")
        for run in used.runs[:_SHOWN_RUNS]:
            _show_run(run)
        if len(used.runs) > _SHOWN_RUNS:
            st.caption(f"and {len(used.runs) - _SHOWN_RUNS} older ones")
    if used.studies:
        st.markdown(f"{_counted(len(used.studies), 'study', 'studies')}:")
        st.dataframe(
            [
                {"Study": printable(one.study), "What": ", ".join(one.what), "Open": f"/review?study={one.study}"}
                for one in used.studies
            ],
            hide_index=True,
            height=35 * (min(len(used.studies), 5) + 1) + 3,
            column_config={"Open": st.column_config.LinkColumn(display_text="Review")},
            key=f"studies of {entry.name}",
            alt="Studies that this model worked on",
        )


def _show_run(run: RunUse) -> None:
    state = f" ({run.state})" if run.state else ""
    if run.listed:
        st.page_link(
            "pages/runs.py", label=plain(f"{run.title}{state}"), icon=":material/list_alt:", query_params={"run": run.id}
        )
    else:
        st.caption(plain(f"started on the command line, folder runs/{run.id}"))


def _table(rows: Sequence[tuple[str, str]]) -> str:
    lines = "\n".join(f"| {plain(name)} | {plain(text)} |" for name, text in rows)
    return f"| | |\n|---|---|\n{lines}"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"

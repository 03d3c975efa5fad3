from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.analysis.batch_agreement import BatchAgreement, Disagreement, compare_night, disagreements, summarise
from sleepfm.errors import SleepFMError
from sleepfm.library.facts import person
from sleepfm.library.index_layout import library_version
from sleepfm.library.library import Library, StoredScoring
from sleepfm.library.resident import in_resident
from sleepfm.library.scorer_agreement import begun_from, library_agreement, night_pair, scored_night, scorers
from sleepfm.library.study import Study
from sleepfm.text import plain, printable
from sleepfm.viewer.agreement_figures import bland_altman_figure, confusion_figure, two_hypnograms_figure
from sleepfm.viewer.agreement_words import (
    disagreement_rows,
    estimate_words,
    event_rows,
    head_words,
    night_rows,
    number_rows,
    own_number_rows,
    rows_csv,
    stage_rows,
)
from sleepfm.viewer.chart_export import show_chart
from sleepfm.viewer.role_widgets import export_button
from sleepfm.viewer.scoring_choice import shown_at_first
from sleepfm.viewer.signed_in import require
from sleepfm.viewer.visits import last_study

CHOICES = 200  # studies offered in the list; the others are opened from the Studies page
ONE, ALL = "One study", "All studies of both"
VIEW, NEXT_VIEW = "agreement view", "agreement next view"
WAIT_S = 180.0
TABLE_PX, ROW_PX = 330, 30


def choose_study(library: Library) -> Study | None:
    """Let the user choose a study: at first that of the address, else the one looked at last, else the newest."""
    ids = [one.id for one in library.studies(limit=CHOICES)]
    wanted = st.query_params.get("study") or last_study(st.session_state) or ids[0]
    try:
        study = library.study(wanted)
    except SleepFMError as error:
        st.error(plain(str(error)))
        st.page_link("pages/studies.py", label="To the studies")
        return None
    if study.id not in ids:
        ids.insert(0, study.id)
    chosen = st.selectbox("Study", ids, index=ids.index(study.id), key=f"agreement study of {study.id}", width=220)
    if chosen != study.id:
        st.query_params["study"] = chosen
        st.rerun()
    if st.query_params.get("study") != study.id:
        st.query_params["study"] = study.id
    return study


def choose_two(stored: list[StoredScoring], study: Study) -> tuple[StoredScoring, StoredScoring]:
    """Let the user choose the two scorings: at first a person's, or whatever counts, against the one that came with the file."""
    by_id = {one.id: one for one in stored}
    first = shown_at_first(stored)[0]
    labels = [one.label for one in stored]
    names = {one.id: printable(f"{one.label} ({one.model})" if labels.count(one.label) > 1 else one.label) for one in stored}
    a = st.selectbox(
        "A",
        list(by_id),
        index=list(by_id).index(first.id),
        format_func=names.__getitem__,
        key=f"agreement a {study.id}",
        width=250,
    )
    # first somebody who scored apart from A
    others = sorted((one for one in by_id if one != a), key=lambda one: bool(begun_from(by_id[a], by_id[one])))
    b = st.selectbox("B", others, format_func=names.__getitem__, key=f"agreement b {study.id} {a}", width=250)
    return by_id[a], by_id[b]


def show_one(library: Library) -> None:
    """Compare two scorings of one study."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        study = choose_study(library)
        if study is None:
            return
        stored = library.scorings(study.id)
        if len(stored) < 2:
            with st.container(width="stretch"):
                has = "one scoring" if stored else "no scoring"
                st.info(
                    plain(
                        f"{study.id} has {has}; two are needed. Score it on the Review page, stage it with another engine, or"
                        " import a scoring."
                    ),
                    icon=":material/compare_arrows:",
                )
            return
        a, b = choose_two(stored, study)
    scored = [scored_night(library, study.id, one) for one in (a, b)]
    try:
        night = compare_night(night_pair(study.id, person(library, study.id).subject, scored[0], scored[1]))
        found = summarise([night], resamples=0)
    except SleepFMError as error:
        st.info(plain(str(error)), icon=":material/compare_arrows:")
        return
    note = begun_from(a, b)
    show_numbers(found, notes=(note,) if note else ())
    runs = disagreements(a.scoring.stages, b.scoring.stages)
    chosen = show_chart(
        two_hypnograms_figure(a.scoring.stages, b.scoring.stages, (f"A: {a.label}", f"B: {b.label}"), start=study.start),
        f"{study.id}_hypnograms",
        key=f"agreement night {study.id} {a.id} {b.id}",
        alt="Both hypnograms over the night, and between them the epochs that differ; the table below lists them",
        on_select="rerun",
        selection_mode="points",
    )
    if points := [point for point in chosen.selection.points if "customdata" in point]:
        open_epoch(study.id, points[0]["customdata"])
    left, right = st.columns([5, 6], gap="medium")
    with left:
        show_disagreements(study.id, found, runs, f"{study.id} {a.id} {b.id}")
    with right:
        show_stages(found, a.label, b.label, f"{study.id}_{a.id}_{b.id}")
    show_nights_numbers(found, f"{study.id}_{a.id}_{b.id}", alone=True)
    sources = [f"{name} from {one.events_from}" for name, one in (("A", scored[0]), ("B", scored[1])) if one.events_from]
    show_events(found, f"{study.id}_{a.id}_{b.id}", sources)


def open_epoch(study: str, epoch: object) -> None:
    """Go to an epoch on the Review page."""
    first = epoch[0] if isinstance(epoch, list | tuple) else epoch  # Plotly hands back the number or a list of it
    st.switch_page("pages/review.py", query_params={"study": study, "epoch": str(first)})


def show_numbers(found: BatchAgreement, *, notes: tuple[str, ...] = ()) -> None:
    """Show the agreement over all epochs, and what a reader has to know of it."""
    for place, (name, one) in zip(
        st.columns([2, 2, 2, 4]),
        (("Cohen's kappa", found.kappa), ("Accuracy", found.accuracy), ("Macro F1", found.macro_f1), ("", None)),
        strict=True,
    ):
        if one is not None:
            place.markdown(f"**{plain(estimate_words(one))}**  \n{plain(name)}")
        else:
            place.markdown(plain(head_words(found)))
    remarks = [*found.remarks, *notes]
    if found.failed:
        study, why = next(iter(found.failed.items()))
        remarks.append(f"{len(found.failed)} studies could not be compared; {study}: {why}")
    if remarks:
        st.caption("  \n".join(plain(one) for one in remarks))


def show_disagreements(study: str, found: BatchAgreement, runs: tuple[Disagreement, ...], key: str) -> None:
    """List where the two differ; choosing a row opens it."""
    rows = disagreement_rows(runs)
    epochs = sum(one.epochs for one in runs)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{epochs} of {found.epochs:,} epochs differ**", width="stretch")
        csv_button("Disagreements as CSV", rows, f"{study}_disagreements", key)
    if not runs:
        st.caption("Nothing differs.")
        return
    chosen = st.dataframe(
        rows,
        hide_index=True,
        height=TABLE_PX,
        key=f"disagreements {key}",
        on_select="rerun",
        selection_mode="single-row",
        alt="Epochs that differ; choosing a row opens it on the Review page",
    )
    st.caption("Choose a row, or click a mark in the chart, to see its traces.")
    if chosen.selection.rows:
        open_epoch(study, runs[chosen.selection.rows[0]].epoch)


def show_stages(found: BatchAgreement, a: str, b: str, key: str) -> None:
    """Show the confusion of stages and F1 by stage."""
    left, right = st.columns([1, 1], gap="small")
    with left:
        st.markdown("**Who calls what what** (share of A's row)")
        show_chart(
            confusion_figure(found.confusion, a, b),
            f"{key}_confusion",
            key=f"confusion {key}",
            alt="Confusion of stages; rows A, columns B",
        )
    with right:
        rows = stage_rows(found)
        st.markdown("**By stage** (epochs)")
        st.dataframe(rows, hide_index=True, row_height=ROW_PX, key=f"stages {key}", alt="F1 and epochs by stage")
        csv_button("By stage as CSV", rows, f"{key}_stages", key)


def show_nights_numbers(found: BatchAgreement, key: str, *, alone: bool) -> None:
    """Show the numbers of the night: of one night side by side, of several as bias and limits of agreement."""
    rows = own_number_rows(found.numbers) if alone else number_rows(found.numbers)
    if not rows:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Numbers of the night**" if alone else "**Bias and limits of agreement** (95 % intervals)", width="stretch")
        csv_button("Numbers as CSV", rows, f"{key}_numbers", key)
    st.dataframe(
        rows, hide_index=True, height="content", row_height=ROW_PX, key=f"numbers {key}", alt="Numbers of the night by both"
    )
    if alone:
        st.caption(
            "Both over the same time in bed and the same scored epochs. One night shows a difference; whether it is a habit takes"
            " several people: see “All studies of both”."
        )
        return
    by_name = {f"{one.name}{f' ({one.unit})' if one.unit else ''}": one for one in found.numbers}
    number = by_name[st.selectbox("Bland–Altman plot of", list(by_name), key=f"bland-altman {key}", width=320)]
    show_chart(
        bland_altman_figure(number, [night.night for night in found.nights]),
        f"{key}_bland-altman_{number.key}",
        key=f"plot {key} {number.key}",
        alt="A minus B against the mean of both, a point a night, with bias and limits of agreement",
    )
    st.caption(
        "Bands: 95 % intervals of bias and limits (Zou 2013); several nights of one person count as one person's. Between the"
        " limits 95 % of the differences are expected, if these are normal."
    )


def show_events(found: BatchAgreement, key: str, sources: list[str]) -> None:
    """Show the agreement on events."""
    if not found.events:
        st.caption(
            "Events: not compared, for one of the two has none." if len(sources) < 2 else "Events: neither marked any that count."
        )
        return
    rows = event_rows(found.events)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Events** (the same when they overlap)", width="stretch")
        csv_button("Events as CSV", rows, f"{key}_events", key)
    st.dataframe(rows, hide_index=True, row_height=ROW_PX, key=f"events {key}", alt="Agreement on events by sort")
    if sources:
        st.caption(plain(f"Events: {'; '.join(sources)}."))


def csv_button(words: str, rows: Sequence[Mapping[str, object]], name: str, key: str) -> None:
    """Draw the button that takes a table along."""
    export_button(
        words, rows_csv(rows), f"{name}.csv", "text/csv", icon=":material/download:", on_click="ignore", key=f"{words} {key}"
    )


def show_all(library: Library) -> None:
    """Compare two scorers over all studies that both have scored."""
    known = {one.key: one for one in scorers(library)}
    if len(known) < 2:
        st.info(
            "Two scorers are needed: stage the studies with another engine, or review some.", icon=":material/compare_arrows:"
        )
        return

    def words(key: str) -> str:
        return f"{printable(known[key].label)} ({known[key].studies} studies)"

    with st.container(horizontal=True, vertical_alignment="bottom"):
        a = st.selectbox("A", list(known), format_func=words, key="agreement scorer a", width=330)
        b = st.selectbox("B", [key for key in known if key != a], format_func=words, key=f"agreement scorer b {a}", width=330)
    found = ask(library, a, b)
    if isinstance(found, str):
        st.info(plain(found), icon=":material/compare_arrows:")
        return
    show_numbers(found)
    key = f"{len(found.nights)}-nights"
    left, right = st.columns([5, 6], gap="medium")
    with left:
        rows = night_rows(found)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**Nights**, the least alike first", width="stretch")
            csv_button("Nights as CSV", rows, f"{key}_agreement", key)
        chosen = st.dataframe(
            rows,
            hide_index=True,
            height=TABLE_PX,
            key=f"nights {a} {b}",
            on_select="rerun",
            selection_mode="single-row",
            alt="Agreement by night; choosing a row shows the night",
            column_config={name: st.column_config.NumberColumn(format="%.3f") for name in ("Kappa", "Accuracy")},
        )
        if chosen.selection.rows:
            st.query_params["study"] = str(rows[chosen.selection.rows[0]]["Study"])
            st.session_state[NEXT_VIEW] = ONE
            st.rerun()
    with right:
        show_stages(found, known[a].label, known[b].label, key)
    show_nights_numbers(found, key, alone=False)
    show_events(found, key, [])


def ask(library: Library, a: str, b: str) -> BatchAgreement | str:
    """Return the agreement of two scorers, asked for anew only when something has changed."""
    asked = (a, b, library_version(library.home.database))
    if st.session_state.get("agreement asked") != asked:
        try:
            with st.spinner("Comparing the nights that both have scored"):
                answer: BatchAgreement | str = in_resident(library.home, library_agreement, a, b, timeout_s=WAIT_S)
        except SleepFMError as error:
            answer = str(error)
        st.session_state["agreement answer"] = answer
        st.session_state["agreement asked"] = asked
    kept: BatchAgreement | str = st.session_state["agreement answer"]
    return kept


def main() -> None:
    """Draw the page."""
    require(Role.VIEWER)
    with Library.open() as library:
        if not library.count():
            st.info("No studies yet: add a recording on the Studies page.", icon=":material/bedtime:")
            st.page_link("pages/studies.py", label="To the studies")
            return
        if (wanted := st.session_state.pop(NEXT_VIEW, None)) is not None:
            st.session_state[VIEW] = wanted
        elif VIEW not in st.session_state:
            st.session_state[VIEW] = ONE
        view = st.segmented_control("View", (ONE, ALL), required=True, label_visibility="collapsed", key=VIEW)
        (show_one if view == ONE else show_all)(library)
    st.caption(
        "Neither of two scorers is the truth: agreement says how alike they are. Epochs that either leaves Unknown do not count."
    )


main()

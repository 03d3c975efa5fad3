import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from sleepfm.errors import RequestError, ScoringError
from sleepfm.recording.scorings.events_csv import write_events
from sleepfm.recording.scorings.formats import read_events
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import EventName

# Hostile but storable text: no NUL, and no line breaks or blanks at the ends, which cells do not keep.
cell_text = st.text(st.characters(exclude_characters="\x00\r\n", exclude_categories=["Cs"]), max_size=30).map(str.strip)
seconds = st.floats(0, 2e5, allow_nan=False)
values = st.one_of(st.floats(-1e6, 1e6), st.sampled_from(["left", "=1+1", "a,b", 'say "x"', "Größe µV"]))
events = st.builds(
    lambda start, length, name, channel, source, extra: Event(start, start + length, name, channel, source, extra),
    seconds,
    seconds,
    st.sampled_from([name.value for name in EventName]),
    cell_text,
    cell_text,
    st.dictionaries(st.sampled_from(["Desaturation", "NadirSpO2", "Side", "Position"]), values, max_size=3),
)


@settings(deadline=None)
@given(st.lists(events, max_size=20))
def test_events_survive_writing_and_reading(tmp_path_factory, listed):
    path = tmp_path_factory.mktemp("events") / "e.csv"
    write_events(listed, path)
    assert path.read_text().splitlines()[0].startswith("Start,Stop,Event,Channel,Source")
    assert list(read_events(path)) == listed


def test_the_columns_are_those_of_the_contract(tmp_path):
    path = tmp_path / "e.csv"
    extra = {"Desaturation": 4.0, "NadirSpO2": 88.5}
    write_events(
        [Event(10, 20.5, EventName.HYPOPNEA, "Flow", "expert"), Event(30, 60, EventName.DESATURATION, "SpO2", "auto", extra)],
        path,
    )
    assert path.read_text() == (
        "Start,Stop,Event,Channel,Source,Desaturation,NadirSpO2\n10,20.5,Hypopnea,Flow,expert,,\n30,60,Desaturation,SpO2,auto,4,88.5\n"
    )


@pytest.mark.parametrize("row", ["0,10,Yawn,,", "ten,20,Arousal,,", "20,10,Arousal,,", "0,inf,Arousal,,", ",,Arousal,,"])
def test_bad_rows_are_refused_with_their_line(tmp_path, row):
    path = tmp_path / "e.csv"
    path.write_text(f"Start,Stop,Event,Channel,Source\n1,2,Arousal,,\n{row}\n")
    with pytest.raises(ScoringError, match=r"e\.csv, line 3"):
        read_events(path)


def test_other_tables_missing_and_empty_files_are_refused(tmp_path):
    path = tmp_path / "e.csv"
    path.write_text("Start,Stop,StageName,StageNumber\n0,30,Wake,0\n")
    with pytest.raises(ScoringError, match="holds no events"):
        read_events(path)
    path.write_bytes(b"")
    with pytest.raises(ScoringError, match="empty"):
        read_events(path)
    with pytest.raises(RequestError):
        read_events(tmp_path / "nobody.csv")


def test_a_name_that_is_no_event_is_not_written(tmp_path):
    with pytest.raises(ScoringError, match="Yawn"):
        write_events([Event(0, 1, "Yawn")], tmp_path / "e.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_hostile_label_stays_on_its_line(tmp_path):
    write_events([Event(0, 1, EventName.SNORE, 'x"\r\n0,9,Hypnogram,,\r')], tmp_path / "e.csv")
    assert len((tmp_path / "e.csv").read_bytes().splitlines()) == 2
    assert [e.channel for e in read_events(tmp_path / "e.csv")] == ['x"  0,9,Hypnogram,,']

"""The journal of an operation: its incidents."""

import json

import pytest

from operation.journal import Incident, JournalError, length, parse, read, when


def line(at, event, incident, kind="broker-down", detail=""):
    return json.dumps({"at": at, "event": event, "incident": incident, "kind": kind, "detail": detail})


def test_starts_and_incidents_come_by_their_begin_with_their_end_and_what_was_done():
    lines = [
        json.dumps({"at": 1, "event": "started", "seconds": 2.5, "speed": 1}),
        line(30, "began", 2),
        line(20, "began", 1, "bad-model", "a release"),
        line(50, "ended", 2),
    ]
    bad, broker = Incident(1, "bad-model", 20, None, "a release"), Incident(2, "broker-down", 30, 50, "")
    assert list(parse(lines).incidents) == [Incident(0, "start", 1, 1, ""), bad, broker]


def test_a_silence_of_a_recording_is_an_occasion_of_its_home():
    silent = json.dumps({"at": 1, "event": "silent", "home": "home-3", "from": 50, "until": 9_000})
    assert list(parse([silent]).incidents) == [Incident(0, "silence", 50, 9_000, "home-3")]


def test_the_fastest_pace_of_all_starts_counts():
    starts = [json.dumps({"at": at, "event": "started", "seconds": 2.5, "speed": speed}) for at, speed in ((1, 600.0), (2, 1700.0), (3, 60.0))]
    assert parse(starts).speed == 1700.0


def test_a_last_line_that_was_cut_off_is_passed_over():
    assert list(parse([line(30, "began", 2), '{"at":50,"eve']).incidents) == [Incident(2, "broker-down", 30, None, "")]


def test_a_line_that_is_none_is_named():
    with pytest.raises(JournalError, match=r"^line 1 of the journal is no line of a journal; take the folder of an operation as it was written$"):
        parse(["nothing", line(30, "began", 2)])


def test_a_folder_without_a_journal_says_which_folder_is_wanted(tmp_path):
    with pytest.raises(JournalError) as refused:
        read(tmp_path)
    assert str(refused.value) == f"there is no {tmp_path}/journal.jsonl; name the folder that hearthwatch-emulator operate was given as --out"


def test_moments_and_lengths_read_as_in_the_report():
    assert [when(at, 1_000) for at in (1_000, 1_000 + 4 * 86_400 + 3 * 3_600 + 61)] == ["day 1 00:00", "day 5 03:01"]
    assert [length(span) for span in (1_500, 7_200, 3 * 3_600, 49 * 3_600)] == ["25 min", "2 h", "3 h", "2 d"]


def test_retrainings_count_but_for_the_one_that_a_bad_model_pretends():
    def run(at):
        return json.dumps({"at": at, "event": "run", "run": "r", "state": "held", "trigger": "hand", "reasons": []})

    assert parse([run(5_000), line(9_000, "began", 1, "bad-model"), run(9_001)]).runs == (5_000,)

"""When an alert fires: as Prometheus says it."""

import pytest

from operation.firing import Rule, Span, fires, seconds, spans

MINUTES = range(0, 1_200, 60)


def rule(hold=0.0, keep=0.0):
    return Rule("A", "a > 0", hold, keep, {"severity": "warning"})


def test_without_for_it_fires_at_its_first_sample_and_ends_at_the_first_evaluation_without_one():
    assert fires({60, 120}, MINUTES, 0, 0) == [(60, 180)]


def test_with_for_it_fires_once_its_first_sample_is_so_long_ago():
    assert fires({60, 120, 180, 240}, MINUTES, 120, 0) == [(180, 300)]


def test_one_evaluation_without_a_sample_begins_for_anew():
    assert fires({60, 120, 240, 300, 360}, MINUTES, 120, 0) == [(360, 420)]


def test_what_is_shorter_than_for_never_fires():
    assert fires({60, 120}, MINUTES, 120, 0) == []


def test_keep_firing_for_bridges_a_gap_that_is_shorter():
    assert fires({60, 240, 300}, MINUTES, 0, 180) == [(60, 540)]


def test_keep_firing_for_ends_so_long_after_the_first_evaluation_without_a_sample():
    assert fires({60}, MINUTES, 0, 180) == [(60, 300)]


def test_what_is_only_pending_is_not_kept():
    assert fires({60, 240, 300}, MINUTES, 120, 600) == []


def test_what_fires_at_the_last_evaluation_has_no_end():
    assert fires(set(MINUTES), MINUTES, 60, 0) == [(60, None)]


def test_parts_of_one_series_come_together_and_the_labels_of_the_rule_win():
    metric = {"__name__": "a", "job": "j", "severity": "of the metric"}
    parts = [{"metric": metric, "values": [[60, "1"], [120, "1"]]}, {"metric": metric, "values": [[180, "1"]]}]
    assert spans(rule(hold=120), parts, MINUTES) == [Span("A", {"job": "j", "severity": "warning"}, 180, 240)]


def test_each_series_has_a_span_of_its_own():
    parts = [{"metric": {"home": home}, "values": [[at, "1"]]} for home, at in (("b", 120), ("a", 60))]
    assert [(span.labels["home"], span.begin) for span in spans(rule(), parts, MINUTES)] == [("a", 60), ("b", 120)]


def test_durations_are_those_of_prometheus():
    assert [seconds(text) for text in (None, "0s", "90s", "1h30m", "1w")] == [0, 0, 90, 5_400, 604_800]


def test_what_is_no_duration_is_refused():
    with pytest.raises(ValueError, match=r"^'5 min' is no duration; write one such as 5m or 1h30m$"):
        seconds("5 min")

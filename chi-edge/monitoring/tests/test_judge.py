"""Which alert belongs to which incident."""

from dataclasses import replace

import pytest

from operation.firing import Span
from operation.journal import Incident, Journal
from operation.judge import TABLE, TableError, document, expectation, judge, table

KNOWN = {"BrokerLinkDown", "AgentFleetAway", "AgentDown", "AggregatorDown", "AggregatorRestarted", "RolloutStopped", "UpdatesFail"}
ROWS = table(
    """
incidents:
  - {kind: broker-down, expected: [BrokerLinkDown], may: [AgentFleetAway], grace: 30m}
  - {kind: aggregator-killed, shorter_than: 2m, expected: [], why: It is back., may: [AggregatorRestarted]}
  - {kind: aggregator-killed, expected: [AggregatorDown], may: [BrokerLinkDown]}
  - {kind: bad-model, detail: "^nothing", expected: [], why: Nothing was done.}
  - {kind: bad-model, expected: [[RolloutStopped, UpdatesFail]]}
  - {kind: certificate-ended, expected: [AgentDown]}
""",
    KNOWN,
)
HOMES = frozenset({"home-01", "home-02"})
BROKER = Incident(1, "broker-down", 1_000, 5_000, "the broker was killed")


def span(alert, begin, end=None, **labels):
    return Span(alert, labels, begin, end)


def one(incident, *found):
    findings, others = judge(Journal((incident,), ()), found, ROWS, HOMES)
    return findings[0], others


def test_an_alert_that_begins_within_the_incident_or_its_grace_belongs_to_it():
    finding, others = one(BROKER, span("BrokerLinkDown", 1_300), span("AgentFleetAway", 6_800))
    assert (finding.raised, finding.missing, others) == ({"BrokerLinkDown": 1_300, "AgentFleetAway": 6_800}, [], [])


def test_an_alert_before_the_incident_after_its_grace_or_not_in_its_row_belongs_to_none():
    strangers = [span("BrokerLinkDown", 999), span("AgentDown", 2_000), span("BrokerLinkDown", 6_801)]
    finding, others = one(BROKER, *strangers)
    assert (finding.raised, finding.missing, others) == ({}, ["BrokerLinkDown"], strangers)


def test_an_alert_that_fires_twice_counts_from_its_first_time():
    finding, _ = one(BROKER, span("BrokerLinkDown", 3_000), span("BrokerLinkDown", 1_300, 1_400))
    assert finding.raised == {"BrokerLinkDown": 1_300}


def test_an_incident_without_an_end_lasts_to_the_end_of_the_operation():
    finding, others = one(Incident(1, "broker-down", 1_000, None, ""), span("BrokerLinkDown", 900_000))
    assert (finding.missing, others) == ([], [])


def test_of_alternatives_one_is_enough():
    bad = Incident(1, "bad-model", 1_000, 1_000, "an operator released a model")
    assert one(bad, span("UpdatesFail", 2_000))[0].missing == []
    assert one(bad)[0].missing == ["RolloutStopped or UpdatesFail"]


def test_where_incidents_overlap_an_alert_belongs_to_the_one_that_must_raise_it():
    killed = Incident(2, "aggregator-killed", 900, 5_000, "")
    findings, _ = judge(Journal((killed, BROKER), ()), [span("BrokerLinkDown", 1_300), span("AggregatorDown", 1_400)], ROWS, HOMES)
    assert [finding.raised for finding in findings] == [{"AggregatorDown": 1_400}, {"BrokerLinkDown": 1_300}]


def test_an_alert_of_a_home_that_the_incident_does_not_name_belongs_to_none():
    ended = Incident(1, "certificate-ended", 1_000, 5_000, "home-02 got certificates of one day and were switched off")
    other = span("AgentDown", 2_000, instance="home-01")
    finding, others = one(ended, other, span("AgentDown", 2_100, instance="home-02"))
    assert (finding.raised, others) == ({"AgentDown": 2_100}, [other])


def test_the_row_is_the_first_that_fits_by_length_and_by_what_was_done():
    killed = [Incident(1, "aggregator-killed", 1_000, end, "") for end in (1_000, 1_119, 1_120, None)]
    assert [expectation(incident, ROWS).expected for incident in killed] == [(), (), (("AggregatorDown",),), (("AggregatorDown",),)]
    assert expectation(Incident(1, "bad-model", 0, 0, "nothing was released: no run"), ROWS).expected == ()


def test_an_incident_that_the_table_does_not_know_is_refused():
    with pytest.raises(TableError, match=r"^no row of incidents.yml is about an incident flood; add one that says which alerts it should raise$"):
        one(Incident(1, "flood", 0, 0, ""))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{kind: a, expected: [Nothing]}", "incident 1 of the table names Nothing, which no rule has; mend the name"),
        ("{kind: a, expected: []}", "incident 1 of the table expects no alert; say why"),
        (
            "{kind: a, expect: []}",
            "incident 1 of the table has expect; it may have detail, expected, grace, kind, may, needs_answers, needs_run, real_grace, real_seconds, shorter_than, why",
        ),
    ],
)
def test_a_row_that_cannot_be_meant_is_refused(row, message):
    with pytest.raises(TableError) as refused:
        table(f"incidents: [{row}]", KNOWN)
    assert str(refused.value) == message


def test_what_only_a_retraining_shows_is_expected_once_one_ended_in_time():
    row = table("incidents: [{kind: season, expected: [AgentDown], needs_run: true, grace: 1h}]", KNOWN)
    season = Incident(1, "season", 1_000, 2_000, "")
    missing = {at: judge(Journal((season,), (at,)), [], row, HOMES)[0][0].missing for at in (1_000, 1_001, 5_600, 5_601)}
    assert missing == {1_000: [], 1_001: ["AgentDown"], 5_600: ["AgentDown"], 5_601: []}


def test_what_is_over_before_a_program_looks_is_not_expected():
    row = table("incidents: [{kind: signer, expected: [AgentDown], real_seconds: 70}]", KNOWN)
    signer = Journal((Incident(1, "signer", 0, 42_000, ""),), ())
    findings = [judge(replace(signer, speed=speed), [], row, HOMES)[0][0] for speed in (600, 601)]
    assert [(finding.missing, finding.excuse) for finding in findings] == [(["AgentDown"], ""), ([], "shorter than 70 s of real time")]


def test_the_document_has_what_the_report_reads():
    finding, _ = one(BROKER, span("AgentFleetAway", 2_200))
    assert document([finding], ["AgentDown (day 1 00:10, 3 h)"], {"DiskFull": ["node_x"]}) == {
        "incidents": {"1": ["AgentFleetAway"]},
        "others": ["AgentDown (day 1 00:10, 3 h)"],
        "missing": {"1": ["BrokerLinkDown"]},
        "not_to_be_seen": {},
        "minutes": {"1": {"AgentFleetAway": 20}},
        "without_metrics": {"DiskFull": ["node_x"]},
    }


def test_the_table_of_the_tree_names_alerts_that_rules_have():
    import check_rules

    assert table(TABLE.read_text(encoding="utf-8"), {alert["alert"] for alert in check_rules.alerts()})


def test_homes_that_answered_too_seldom_cannot_be_doubted():
    row = table("incidents: [{kind: hostile, expected: [AgentDown], needs_answers: 2}]", KNOWN)
    hostile = Incident(1, "hostile", 1_000, 2_000, "residents of home-1, home-2 answer wrongly")
    excuses = {
        answers: judge(Journal((hostile,), (), answers), [], row, HOMES)[0][0].excuse
        for answers in (((1_100, "home-1"), (1_200, "home-1")), ((900, "home-1"), (1_200, "home-1")), ((1_100, "home-3"), (1_200, "home-3")))
    }
    assert list(excuses.values()) == ["", "none of its homes answered 2 times", "none of its homes answered 2 times"]


def test_what_follows_within_seconds_of_real_time_belongs_to_the_incident_however_fast_the_calendar_goes():
    row = table("incidents: [{kind: broker-down, expected: [BrokerLinkDown], may: [AgentDown], real_grace: 10}]", KNOWN)
    broker = Journal((Incident(1, "broker-down", 1_000, 2_000, ""),), ())
    late = [span("AgentDown", 2_000 + 2 * 3_600)]
    assert [len(judge(replace(broker, speed=speed), late, row, HOMES)[1]) for speed in (60, 1_200)] == [1, 0]

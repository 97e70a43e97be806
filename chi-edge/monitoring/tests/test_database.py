"""An operation's metrics: cut into blocks, named as Prometheus reads them; and all of it against a real Prometheus."""

import gzip
import json
import shutil

import pytest

import check_operation
from operation import database, recording

BEGIN = 1_767_571_200
CLOUD = 'job="hearthwatch-cloud",instance="cloud"'


def write(folder, families):
    """A file of metrics: each family a type, and its series with a value for each minute."""
    (folder / "metrics").mkdir(exist_ok=True)
    lines = []
    for name, (kind, series) in families.items():
        lines.append(f"# TYPE {name} {kind}\n")
        for labels, values in series.items():
            lines += [f"{labels} {value} {BEGIN + 60 * minute}\n" for minute, value in enumerate(values)]
    with gzip.open(folder / f"metrics/{BEGIN}.om.gz", "wt", encoding="utf-8") as file:
        file.writelines([*lines, "# EOF\n"])


def test_series_have_the_labels_of_prometheus_yml():
    assert database.series_as_scraped(f"up{{{CLOUD}}}") == 'up{job="aggregator",instance="cloud",machine="cloud"}'
    agent = 'a_total{job="hearthwatch-edge",instance="home-01",kind="x"}'
    assert database.series_as_scraped(agent) == 'a_total{job="agent",instance="home-01",machine="home-01",kind="x"}'


def test_a_file_is_cut_into_blocks_and_each_piece_has_its_types(tmp_path):
    values = ["1"] * 121
    write(tmp_path, {"c": ("gauge", {f"c{{{CLOUD}}}": values}), "up": ("gauge", {f"up{{{CLOUD}}}": values})})
    ups = {}
    pieces, times = database.split(tmp_path / f"metrics/{BEGIN}.om.gz", tmp_path, ups)
    assert (ups, min(times), max(times)) == ({("aggregator", "cloud"): True}, BEGIN, BEGIN + 7_200)
    assert len(pieces) == 2
    labels = '{job="aggregator",instance="cloud",machine="cloud"}'
    assert pieces[1].read_text() == f"# TYPE c gauge\nc{labels} 1 {BEGIN + 7_200}\n# TYPE up gauge\nup{labels} 1 {BEGIN + 7_200}\n# EOF\n"


def test_a_line_that_is_no_sample_is_named(tmp_path):
    with gzip.open(tmp_path / "1.om.gz", "wt") as file:
        file.write("# TYPE c gauge\nc 1\n")
    with pytest.raises(database.DatabaseError) as refused:
        database.split(tmp_path / "1.om.gz", tmp_path, {})
    assert str(refused.value) == f"line 2 of {tmp_path}/1.om.gz is no sample with a time; take the metrics as the operation wrote them"


def test_a_recorded_series_is_put_into_the_query_as_what_it_stands_for():
    assert recording.inline("a:b > 2 and a:b:c", {"a:b": "sum(x)"}) == "(sum(x)) > 2 and a:b:c"
    with pytest.raises(recording.RecordError):
        recording.inline("rate(a:b[5m])", {"a:b": "sum(x)"})


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Prometheus: apt-get install prometheus")
def test_a_broker_that_was_away_raises_its_alert_and_one_without_an_incident_is_found(tmp_path, monkeypatch, capsys):
    # The link is away from minute 60 to 90, which is the incident, and again from 300 to 310, which is none.
    link = ["0" if 60 <= minute < 90 or 300 <= minute < 310 else "1" for minute in range(400)]
    families = {"hearthwatch_cloud_link_connected": ("gauge", {f"hearthwatch_cloud_link_connected{{{CLOUD}}}": link})}
    write(tmp_path, {**families, "up": ("gauge", {f"up{{{CLOUD}}}": ["1"] * 400})})
    incident = {"incident": 1, "kind": "broker-down", "detail": "the broker was killed"}
    lines = [{"at": BEGIN + 3_590, "event": "began", **incident}, {"at": BEGIN + 5_400, "event": "ended", **incident}]
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    monkeypatch.setattr("sys.argv", ["check_operation.py", str(tmp_path)])
    assert check_operation.main() == 1
    written = json.loads((tmp_path / "alerts.json").read_text())
    assert written["incidents"] == {"1": ["BrokerLinkDown"]}
    assert written["minutes"] == {"1": {"BrokerLinkDown": 5}}
    assert (written["others"], written["missing"]) == (["BrokerLinkDown (day 1 05:05, 5 min)"], {})
    assert "outside of all incidents:\n  BrokerLinkDown (day 1 05:05, 5 min)\n" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["check_operation.py", str(tmp_path), "--report-only"])
    assert check_operation.main() == 0


def test_a_folder_without_an_operation_ends_with_a_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["check_operation.py", str(tmp_path)])
    assert check_operation.main() == 2
    assert capsys.readouterr().err.startswith("check_operation.py: there is no ")

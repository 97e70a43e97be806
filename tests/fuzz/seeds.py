"""Writes the first inputs of each corpus, from the golden files and by hand: `python seeds.py` (needs cbor2).

libFuzzer's own finds lie beside them; an input that ever broke a decoder is added and stays.
"""

import json
import sqlite3
import tempfile
from pathlib import Path

import cbor2

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
KINDS = ["feedback", "receipt", "status", "outcome", "release", "assignment", "manifest", "withdrawal"]
KINDS += ["withdrawal_receipt", "contribution", "announcement", "round_offer", "round_plan", "round_part", "round_receipt"]
KINDS += ["round_request"]


def put(target, name, data):
    path = HERE / "corpus" / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def messages():
    for golden in sorted((ROOT / "protocol/golden").glob("*.cbor.hex")):
        name = golden.name.removesuffix(".cbor.hex")
        data = bytes.fromhex(golden.read_text().strip())
        put("envelope", name, data)
        envelope = cbor2.loads(data)
        put("body", name, bytes([KINDS.index(envelope["kind"])]) + envelope["body"])
        if envelope["kind"] in ("assignment", "manifest", "round_offer", "round_plan"):
            put("signed", name, envelope["body"])
            put("signed", f"{name}-payload", cbor2.loads(envelope["body"])[2])
        if envelope["kind"] in ("round_part", "round_request"):
            inner = "answer" if envelope["kind"] == "round_part" else "signed"
            answer = cbor2.loads(envelope["body"])[inner]
            put("signed", name, answer)
            put("signed", f"{name}-payload", cbor2.loads(answer)[2])
    wish = bytes.fromhex((ROOT / "protocol/golden/renewal.cose.hex").read_text().strip())
    put("signed", "renewal", wish)
    put("signed", "renewal-payload", cbor2.loads(wish)[2])
    put("signed", "keys", b"# the director\ned25519:" + b"07" * 32 + b"\n")
    put("signed", "topic", b"hw/v1/home/home-7/up/feedback")


def round_bodies():
    scales, levels = bytes(4 * 37), bytes(300)
    put("round-body", "delta-short", b"\x00" + cbor2.dumps({"scales": scales, "levels": levels}))
    put("round-body", "delta-uneven", b"\x00" + cbor2.dumps({"scales": scales[:-1], "levels": levels}))
    one = {"temperature": {"days": [0, 3, 5], "faults": [0, 0, 0, 2]}}
    put("round-body", "counts", b"\x01" + cbor2.dumps([one, {}]))
    keys = {"sealing": bytes(32), "masking": bytes(32)}
    put("round-body", "keys", b"\x07" + cbor2.dumps(keys))
    plan = {"round": 1, "group": 0, "nonce": bytes(16), "homes": [f"home-{n}" for n in range(1, 5)], "threshold": 3, "words": 4}
    start = {"plan": plan, "roster": {"group": bytes(32), "keys": [[n, keys] for n in range(4)]}}
    put("round-body", "group-start", b"\x07" + cbor2.dumps(start))
    masked = {"group": bytes(32), "from": 0, "accused": [1], "words": bytes(8)}
    put("round-body", "masked", b"\x07" + cbor2.dumps(masked))
    put("round-body", "unmask", b"\x07" + cbor2.dumps({"group": bytes(32), "from": 0, "shares": [{"of": 1, "share": bytes(32)}]}))
    put("round-body", "counts-long", b"\x03" + cbor2.dumps([one, {}, {"power": {"days": [0] * 122, "faults": []}}, {}]))


def artifacts():
    shipped = (ROOT / "model/shipped/network.safetensors").read_bytes()
    put("artifact", "cut", shipped[:6000])
    put("artifact", "empty", (2).to_bytes(8, "little") + b"{}")
    put("artifact", "huge-header", (2**40).to_bytes(8, "little") + b"{}")


def texts():
    entity = {"s": "21.5", "a": {"device_class": "temperature", "unit_of_measurement": "°C"}, "lc": 1790000000.25}
    change = {"c": {"sensor.a": {"+": {"s": "unavailable", "lu": 1790000060.0}}}, "r": ["sensor.b"]}
    frames = [(0, {"a": {"sensor.a": entity}}), (0, change), (0, {"a": {"sensor.a": {"s": "1e999"}}})]
    told = {"alarm_id": "0", "watched_entity": "sensor.a", "watched_class": "temperature", "kind": "level", "why": "high",
            "severity": "info", "start": "2027-01-15T08:00:00Z", "end": None, "raised_at": "2027-01-15T08:00:00Z", "score": 5,
            "threshold": 3, "amount": 1, "usual": 0, "observed": 9.5, "model_version": 0, "shared": True, "held": None,
            "answers": [{"by": "ann", "answer": "confirmed", "at": "2027-01-15T08:00:00Z"}]}
    frames += [(1, [{"entity_id": "sensor.a", "attributes": {}}]), (2, {"state": "RUNNING", "time_zone": "Europe/Brussels"})]
    frames += [(3, [{"lu": 1800000000.0, "a": told}])]
    for number, (kind, frame) in enumerate(frames):
        put("home-assistant", f"frame-{number}", bytes([kind]) + json.dumps(frame).encode())
    put("command", "word", b"\x00confirmed")
    put("command", "json", b'\x00{"alarm_id": "alarm-1", "verdict": "dismissed"}')
    put("command", "retained", b"\x01confirmed")
    asked = {"home": "home-7", "token": "abc", "csr": "-----BEGIN CERTIFICATE REQUEST-----"}
    bodies = [asked, {"to": 3, "reason": "louder"}, {"reason": "by hand"}, {"name": "ops", "role": "viewer", "days": 30}]
    bodies += [{"limit": 50}, {"home": "home-7", "limit": 50}, {"home": "home-7", "wish": "0oRD"}]
    for number, body in enumerate(bodies):
        put("admin", f"body-{number}", bytes([number]) + json.dumps(body).encode())


def recorder():
    old = """CREATE TABLE states (state_id INTEGER PRIMARY KEY, entity_id TEXT, state TEXT, attributes TEXT,
        last_changed DATETIME, last_updated DATETIME);
        INSERT INTO states VALUES (1, 'sensor.a', '21.5', '{"device_class": "temperature"}',
        '2018-05-01 10:00:00.000000', '2018-05-01 10:00:00.000000');"""
    new = """CREATE TABLE states_meta (metadata_id INTEGER PRIMARY KEY, entity_id TEXT);
        CREATE TABLE state_attributes (attributes_id INTEGER PRIMARY KEY, hash BIGINT, shared_attrs TEXT);
        CREATE TABLE states (state_id INTEGER PRIMARY KEY, state TEXT, last_updated_ts FLOAT, attributes_id INTEGER,
        metadata_id INTEGER);
        INSERT INTO states_meta VALUES (1, 'sensor.a');
        INSERT INTO state_attributes VALUES (1, 0, '{"device_class": "temperature"}');
        INSERT INTO states VALUES (1, '21.5', 1790000000.0, 1, 1), (2, 'unavailable', 1790000060.0, 9, 9);"""
    for name, script in [("of-2018", old), ("of-2026", new)]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "db")
            connection = sqlite3.connect(path)
            # Small pages: what is fuzzed is the reading, not the padding.
            connection.executescript("PRAGMA page_size = 512;" + script)
            connection.close()
            put("recorder", name, path.read_bytes())
    put("recorder", "no-database", b"SQLite format 3\x00 and then nothing")
    put("recorder", "csv", b"at,entity_id,state\n2026-01-01T00:00:00Z,sensor.a,21.5\n")


if __name__ == "__main__":
    messages()
    round_bodies()
    artifacts()
    texts()
    recorder()

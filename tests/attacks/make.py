"""Makes the attack fixtures beside this file, once: `python make.py` (needs python-tuf 7.0.1 and securesystemslib[crypto]).

Each folder is one attack with one thing wrong. `root.json` is the root that the client was given; `seen/`, where there is
one, is the repository as the client saw it before; `now/` is what it is shown now. Written by python-tuf and not by
Hearthwatch's own tools, so that both readers meet metadata that neither of them wrote. Keys are thrown away.
"""

import json
import shutil
from datetime import datetime, timezone
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

HERE = Path(__file__).parent
# Fixtures must not expire; the expired ones did before this program existed.
FAR = datetime(2126, 1, 1, tzinfo=timezone.utc)
PAST = datetime(2026, 2, 1, tzinfo=timezone.utc)
ROLES = ["root", "targets", "snapshot", "timestamp"]
PRETTY = JSONSerializer(compact=False)


class Repository:
    """A repository in memory, written out state by state."""

    def __init__(self, name, targets_threshold=1, root_expires=FAR):
        self.folder = HERE / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.keys = {role: CryptoSigner.generate_ed25519() for role in ROLES}
        self.second = CryptoSigner.generate_ed25519()
        root = Root(expires=root_expires, consistent_snapshot=True)
        for role in ROLES:
            root.add_key(self.keys[role].public_key, role)
        if targets_threshold == 2:
            root.add_key(self.second.public_key, "targets")
            root.roles["targets"].threshold = 2
        self.root = self.signed(root, [self.keys["root"]])
        self.write(self.folder / "root.json", self.root.to_bytes(PRETTY))

    @staticmethod
    def signed(body, signers):
        metadata = Metadata(body)
        for signer in signers:
            metadata.sign(signer, append=True)
        return metadata

    @staticmethod
    def write(path, data):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def publish(self, state, number, models, *, ends=None, signers=None, snapshot=None, targets=None):
        """One consistent set of metadata, version `number`; `snapshot` and `targets` may name older ones instead."""
        ends, signers = ends or {}, signers or {}
        metadata = self.folder / state / "metadata"

        def sign(role, body):
            return self.signed(body, signers.get(role, [self.keys[role]])).to_bytes(PRETTY)

        listed = Targets(version=number, expires=ends.get("targets", FAR))
        for version, text in models:
            name = f"model-{version}.safetensors"
            file = TargetFile.from_data(name, text, ["sha256"])
            file.unrecognized_fields["custom"] = {"model_version": version}
            listed.targets[name] = file
            self.write(self.folder / state / "targets" / f"{file.hashes['sha256']}.{name}", text)
        targets_bytes = sign("targets", listed)
        self.write(metadata / f"{number}.targets.json", targets_bytes)
        snapshot_body = Snapshot(version=snapshot or number, expires=ends.get("snapshot", FAR))
        snapshot_body.meta["targets.json"] = MetaFile(version=targets or number)
        snapshot_bytes = sign("snapshot", snapshot_body)
        self.write(metadata / f"{snapshot or number}.snapshot.json", snapshot_bytes)
        timestamp = Timestamp(version=number, expires=ends.get("timestamp", FAR))
        timestamp.snapshot_meta = MetaFile.from_data(snapshot or number, snapshot_bytes, ["sha256"])
        self.write(metadata / "timestamp.json", sign("timestamp", timestamp))
        return metadata

    def target(self, state="now"):
        return max((self.folder / state / "targets").glob("*.model-2.safetensors"))


MODELS = [(1, b"the first model"), (2, b"the second model")]


def main():
    honest = Repository("honest")
    honest.publish("now", 1, MODELS)

    rotated = Repository("honest-rotated-root")
    metadata = rotated.publish("now", 1, MODELS)
    new = CryptoSigner.generate_ed25519()
    root = Root.from_dict(json.loads(rotated.root.to_bytes())["signed"])
    root.version = 2
    root.revoke_key(rotated.keys["root"].public_key.keyid, "root")
    root.add_key(new.public_key, "root")
    rotated.write(metadata / "2.root.json", rotated.signed(root, [rotated.keys["root"], new]).to_bytes(PRETTY))

    for name, spoil in [
        ("tampered-target", lambda data: b"T" + data[1:]),
        ("truncated-target", lambda data: data[:-3]),
        ("endless-target", lambda data: data * 4096),
    ]:
        repository = Repository(name)
        repository.publish("now", 1, MODELS)
        target = repository.target()
        target.write_bytes(spoil(target.read_bytes()))

    endless = Repository("endless-timestamp")
    timestamp = endless.publish("now", 1, MODELS) / "timestamp.json"
    timestamp.write_bytes(timestamp.read_bytes() + b" " * 20 * 1024)

    for role in ROLES:
        repository = Repository(f"expired-{role}", root_expires=PAST if role == "root" else FAR)
        repository.publish("now", 1, MODELS, ends={role: PAST})

    frozen = Repository("frozen")
    frozen.publish("seen", 1, MODELS[:1])
    frozen.publish("now", 2, MODELS[:1], ends={"timestamp": PAST})

    back = Repository("rolled-back-timestamp")
    back.publish("seen", 2, MODELS)
    back.publish("now", 1, MODELS[:1])

    back = Repository("rolled-back-snapshot")
    back.publish("seen", 2, MODELS)
    back.publish("now", 3, MODELS, snapshot=1)

    back = Repository("rolled-back-targets")
    back.publish("seen", 2, MODELS)
    metadata = back.publish("now", 1, MODELS[:1])
    back.publish("now", 3, MODELS, targets=1)
    (metadata / "3.targets.json").unlink()

    mixed = Repository("mixed-snapshot")
    mixed.publish("now", 1, MODELS[:1])
    metadata = mixed.publish("now", 2, MODELS)
    shutil.copy(metadata / "1.snapshot.json", metadata / "2.snapshot.json")

    mixed = Repository("mixed-targets")
    mixed.publish("now", 1, MODELS[:1])
    metadata = mixed.publish("now", 2, MODELS)
    shutil.copy(metadata / "1.targets.json", metadata / "2.targets.json")

    edited = Repository("edited-timestamp")
    timestamp = edited.publish("now", 1, MODELS) / "timestamp.json"
    document = json.loads(timestamp.read_bytes())
    document["signed"]["version"] = 7
    timestamp.write_text(json.dumps(document))

    for role in ["timestamp", "snapshot", "targets"]:
        wrong = Repository(f"wrong-role-{role}")
        other = {"timestamp": "snapshot", "snapshot": "targets", "targets": "timestamp"}[role]
        wrong.publish("now", 1, MODELS, signers={role: [wrong.keys[other]]})

    below = Repository("below-threshold", targets_threshold=2)
    below.publish("now", 1, MODELS)

    twice = Repository("duplicate-key-ids", targets_threshold=2)
    targets = twice.publish("now", 1, MODELS) / "1.targets.json"
    document = json.loads(targets.read_bytes())
    document["signatures"] *= 2
    targets.write_text(json.dumps(document))

    stranger = Repository("strangers-root")
    metadata = stranger.publish("now", 1, MODELS)
    root = Root.from_dict(json.loads(stranger.root.to_bytes())["signed"])
    root.version = 2
    stranger.write(metadata / "2.root.json", stranger.signed(root, [stranger.second]).to_bytes(PRETTY))

    page = Repository("not-metadata")
    timestamp = page.publish("now", 1, MODELS) / "timestamp.json"
    timestamp.write_text("<html><title>Sign in to continue</title></html>")


if __name__ == "__main__":
    main()

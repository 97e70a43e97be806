"""The small programs that pods run, each as its pod starts it."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from conftest import K8S

FLEET = {"FLEET_HOST": "fleet.example", "HTTPS_PORT": "8443", "TRAINING_DEVICE": "flex", "AUTO_RELEASE": "true", "ROLLOUT_POLICY": "staged"}

Done = subprocess.CompletedProcess[str]


def script(name: str, *arguments: object, environment: dict[str, str] | None = None) -> Done:
    command = [sys.executable, "-I", str(K8S / "scripts" / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment or {}, timeout=60)


def volume(folder: Path, files: dict[str, str]) -> Path:
    """A Secret or ConfigMap as Kubernetes mounts it: a folder of this version, and links to what is in it."""
    version = folder / "..2026_01_01"
    for name, text in files.items():
        (version / name).parent.mkdir(parents=True, exist_ok=True)
        (version / name).write_text(text)
        (version / name).chmod(0o440)
    (folder / "..data").symlink_to(version.name)
    for name in {Path(name).parts[0] for name in files}:
        (folder / name).symlink_to(f"..data/{name}")
    return folder


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in sorted(folder.rglob("*"))}


def test_keys_are_closed_to_others_and_nothing_of_kubernetes_is_copied(tmp_path: Path) -> None:
    secret = volume(tmp_path / "secret", {"ca/ca.key": "k", "cloud/http.key": "h"})
    done = script("install.py", "--to", tmp_path / "data/keys", "--keys", secret, "--directory", "mosquitto/data")
    assert (done.returncode, done.stdout) == (0, "written ca/ca.key\nwritten cloud/http.key\n")
    expected = {"ca": 0o700, "ca/ca.key": 0o600, "cloud": 0o700, "cloud/http.key": 0o600, "mosquitto": 0o700, "mosquitto/data": 0o700}
    assert modes(tmp_path / "data/keys") == expected


def test_a_key_that_changed_is_replaced_and_a_seed_is_not(tmp_path: Path) -> None:
    keys, seed = volume(tmp_path / "keys", {"gate.key": "new"}), volume(tmp_path / "seed", {"state.json": "0", "other.json": "1"})
    to = tmp_path / "to"
    to.mkdir()
    (to / "gate.key").write_text("old")
    (to / "state.json").write_text("17")
    done = script("install.py", "--to", to, "--keys", keys, "--seed", seed)
    assert (done.returncode, done.stdout) == (0, "written gate.key\nwritten other.json\nkept    state.json\n")
    assert ((to / "gate.key").read_text(), (to / "state.json").read_text()) == ("new", "17")
    again = script("install.py", "--to", to, "--keys", keys, "--seed", seed)
    assert again.stdout == "kept    gate.key\nkept    other.json\nkept    state.json\n"


def test_a_key_that_others_could_read_is_closed_again(tmp_path: Path) -> None:
    keys = volume(tmp_path / "keys", {"gate.key": "same"})
    script("install.py", "--to", tmp_path / "to", "--keys", keys)
    (tmp_path / "to/gate.key").chmod(0o660)
    script("install.py", "--to", tmp_path / "to", "--keys", keys)
    assert modes(tmp_path / "to") == {"gate.key": 0o600}


def test_the_configuration_is_joined_and_its_names_are_filled_in(tmp_path: Path) -> None:
    config = volume(tmp_path / "config", {"50-b.toml": "b = 1\n", "10-a.toml": 'url = "https://${FLEET_HOST}:${HTTPS_PORT}/"\n', "x.txt": "no"})
    assert script("install.py", "--to", tmp_path / "to", "--config", config, environment=FLEET).returncode == 0
    assert (tmp_path / "to/cloud.toml").read_text() == 'url = "https://fleet.example:8443/"\n\nb = 1\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("${NOTHING}", "the configuration names NOTHING, which the ConfigMap `fleet` does not have: add it there"),
        ("5 $", "the configuration has a $ that begins no name (Invalid placeholder in string: line 1, col 3): write $$ for the sign itself"),
    ],
)
def test_a_configuration_that_cannot_be_filled_in_is_not_written(tmp_path: Path, text: str, sentence: str) -> None:
    config = volume(tmp_path / "config", {"a.toml": text})
    done = script("install.py", "--to", tmp_path / "to", "--config", config, environment=FLEET)
    assert (done.returncode, done.stderr) == (78, f"install: {sentence}\n")
    assert not (tmp_path / "to/cloud.toml").exists()


def test_a_volume_that_is_not_mounted_is_named(tmp_path: Path) -> None:
    done = script("install.py", "--to", tmp_path / "to", "--keys", tmp_path / "none")
    assert (done.returncode, done.stderr) == (78, f"install: {tmp_path / 'none'} is not there: the pod must mount it\n")


def test_the_webhook_is_put_into_every_receiver(tmp_path: Path) -> None:
    config = K8S.parent / "monitoring/alertmanager/alertmanager.yml"
    (tmp_path / "address").write_text("https://hooks.example/a?b=c\n")
    done = script("webhook.py", "--config", config, "--address", tmp_path / "address", "--to", tmp_path / "out.yml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "out.yml").read_text() == config.read_text().replace("https://webhook.invalid/", "https://hooks.example/a?b=c")
    assert modes(tmp_path)["out.yml"] == 0o600


def test_what_is_no_address_is_refused_without_being_shown(tmp_path: Path) -> None:
    (tmp_path / "address").write_text("https://a.example/secret\nurl: b")
    config = K8S.parent / "monitoring/alertmanager/alertmanager.yml"
    done = script("webhook.py", "--config", config, "--address", tmp_path / "address", "--to", tmp_path / "out.yml")
    sentence = "the Secret alertmanager-webhook must hold one address that begins with https:// or http://, and nothing else"
    assert (done.returncode, done.stderr) == (78, f"webhook: {sentence}\n")
    assert not (tmp_path / "out.yml").exists()


def state(folder: Path) -> sqlite3.Connection:
    """A folder as the aggregator has it, with a database that it writes."""
    for name in ("ca/ca.key", "cloud/ingest.group", "ca/issued.jsonl", "claims.json", "data/runs/1/report.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    live = sqlite3.connect(folder / "data/hearthwatch.db", isolation_level=None)
    live.execute("PRAGMA journal_mode = WAL")
    live.execute("CREATE TABLE answers (number INTEGER)")
    live.executemany("INSERT INTO answers VALUES (?)", [(number,) for number in range(1000)])
    return live


def backup(tmp_path: Path, keep: int = 14) -> Done:
    (tmp_path / "state.json").write_text("signed")
    (tmp_path / "backup").mkdir(exist_ok=True)
    return script("backup.py", "--from", tmp_path / "keys", "--to", tmp_path / "backup", "--keep", keep, "--also", tmp_path / "state.json")


def test_an_archive_holds_what_is_committed_and_no_key(tmp_path: Path) -> None:
    with closing(state(tmp_path / "keys")) as live:
        assert (tmp_path / "keys/data/hearthwatch.db-wal").stat().st_size > 0, "most of it is not in the file itself yet"
        done = backup(tmp_path)
        assert done.returncode == 0, done.stderr
        live.execute("INSERT INTO answers VALUES (1000)")
    (archive,) = (tmp_path / "backup").iterdir()
    assert archive.stat().st_mode & 0o777 == 0o600
    with tarfile.open(archive) as tar:
        assert sorted(tar.getnames()) == ["also/state.json", "ca/issued.jsonl", "claims.json", "data/hearthwatch.db", "data/runs/1/report.json"]
        tar.extractall(tmp_path / "restored", filter="data")
    with closing(sqlite3.connect(tmp_path / "restored/data/hearthwatch.db")) as restored:
        assert restored.execute("SELECT count(*) FROM answers").fetchone() == (1000,)


def test_old_archives_and_what_a_killed_backup_left_are_removed(tmp_path: Path) -> None:
    state(tmp_path / "keys").close()
    (tmp_path / "backup").mkdir()
    for name in ("hearthwatch-20200101T000000Z.tar.gz", "hearthwatch-20200102T000000Z.tar.gz", ".partial-1", "of-somebody-else"):
        (tmp_path / "backup" / name).write_text("")
    assert backup(tmp_path, keep=2).returncode == 0
    left = sorted(path.name for path in (tmp_path / "backup").iterdir())
    assert left[0] == "hearthwatch-20200102T000000Z.tar.gz"
    assert left[2:] == ["of-somebody-else"]


def test_an_archive_is_put_back_and_what_was_there_stays_beside_it(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    with closing(state(keys)) as live:
        assert backup(tmp_path).returncode == 0
        live.execute("DELETE FROM answers")
    (archive,) = (tmp_path / "backup").iterdir()
    back = ("backup.py", "--from", keys, "--to", tmp_path / "backup", "--restore")
    done = script(*back, archive.name)
    assert (done.returncode, done.stdout) == (0, f"{archive.name}: 4 files are back in {keys}\n"), done.stderr
    for folder, count in (("data", 1000), (f"data.before-{archive.name.removesuffix('.tar.gz')}", 0)):
        with closing(sqlite3.connect(keys / folder / "hearthwatch.db")) as database:
            assert database.execute("SELECT count(*) FROM answers").fetchone() == (count,)
    assert (keys / "ca/ca.key").read_text() == "ca/ca.key", "keys stay as they are"
    assert modes(keys)["data"] == 0o700
    again = script(*back, archive.name)
    assert again.returncode == 1
    assert "from an earlier restoration of the same archive: move it away first" in again.stderr


def test_an_archive_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    state(tmp_path / "keys").close()
    backup(tmp_path)
    (archive,) = (tmp_path / "backup").iterdir()
    done = script("backup.py", "--from", tmp_path / "keys", "--to", tmp_path / "backup", "--restore", "../etc/passwd")
    assert (done.returncode, done.stderr) == (1, f"backup: there is no archive ../etc/passwd; there are: {archive.name}\n")


def test_a_damaged_database_is_no_backup(tmp_path: Path) -> None:
    with closing(state(tmp_path / "keys")) as live:
        live.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database = tmp_path / "keys/data/hearthwatch.db"
    data = bytearray(database.read_bytes())
    data[4096:4196] = b"\xff" * 100
    database.write_bytes(data)
    done = backup(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("backup: ")
    assert not [path for path in (tmp_path / "backup").iterdir() if path.name.startswith("hearthwatch-")]


def test_a_file_that_is_waited_for_ends_the_wait(tmp_path: Path) -> None:
    (tmp_path / "acl").write_text("")
    assert script("wait_for.py", tmp_path / "acl").returncode == 0


@contextmanager
def reloader(folder: Path, alive: Path, proc: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-I", str(K8S / "scripts/reload.py"), "--folder", str(folder), "--alive", str(alive), "--proc", str(proc)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def test_mosquitto_reads_its_files_again_when_one_changes(tmp_path: Path) -> None:
    """Against a program that is named so and writes down the signal; the real one is in test_live.py."""
    (tmp_path / "acl").write_text("topic read a\n")
    named = tmp_path / "mosquitto"
    named.write_text('#!/bin/sh\ntrap \'echo again >> "$1"\' HUP\necho ready >> "$1"\nwhile :; do sleep 0.05; done\n')
    named.chmod(0o755)
    with subprocess.Popen([str(named), str(tmp_path / "signals")]) as broker, reloader(tmp_path, tmp_path / "alive", tmp_path / "proc") as watcher:
        try:
            # This process alone: there may be other brokers on this machine.
            (tmp_path / f"proc/{broker.pid}").mkdir(parents=True)
            (tmp_path / f"proc/{broker.pid}/comm").write_text("mosquitto\n")
            until(lambda: (tmp_path / "alive").exists() and (tmp_path / "signals").exists())
            fresh = tmp_path / "acl.new"
            fresh.write_text("topic read b\n")
            fresh.rename(tmp_path / "acl")
            until(lambda: "again" in (tmp_path / "signals").read_text())
            assert watcher.stdout
            line = watcher.stdout.readline()
            assert line == f"changed: acl; process {broker.pid} reads them again\n"
        finally:
            broker.send_signal(signal.SIGKILL)


def test_a_watcher_that_hangs_is_found(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    assert script("reload.py", "--alive", alive, "--check").returncode == 1
    alive.touch()
    assert script("reload.py", "--alive", alive, "--check").returncode == 0
    os.utime(alive, (time.time() - 61, time.time() - 61))
    assert script("reload.py", "--alive", alive, "--check").returncode == 1


def until(there: object) -> None:
    """Waits for something, and gives up after a minute."""
    assert callable(there)
    end = time.monotonic() + 60
    while not there():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def test_a_folder_without_keys_says_how_to_make_them(tmp_path: Path) -> None:
    done = subprocess.run([K8S / "secrets.sh", tmp_path], capture_output=True, text=True, check=False)
    made = f"make it with: hearthwatch-provision init --out {tmp_path} --host NAME --host aggregator --host broker"
    assert (done.returncode, done.stderr) == (66, f"secrets.sh: {tmp_path} has no ca/ca.key; {made}\n")


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["--other"]])
def test_secrets_without_a_folder_says_what_it_takes(arguments: list[str]) -> None:
    done = subprocess.run([K8S / "secrets.sh", *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (64, "usage: secrets.sh KEYS [--webhook FILE] [--print]\n")


IMAGES = """images:
  - name: one
    newName: registry.example/one # tag: 1.0
    digest: sha256:0000000000000000000000000000000000000000000000000000000000000000
  - name: two
    newName: registry.example/two # tag: 2.0
    digest: sha256:0000000000000000000000000000000000000000000000000000000000000000
"""


def pin(tmp_path: Path, skopeo: str, *names: str) -> tuple[Done, str]:
    """Runs pin.py of a copy with a skopeo of its own."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "components/images").mkdir(parents=True)
    (tmp_path / "components/images/kustomization.yaml").write_text(IMAGES)
    (tmp_path / "bin/skopeo").write_text(f"#!/bin/sh\n{skopeo}\n")
    (tmp_path / "bin/skopeo").chmod(0o755)
    shutil.copy(K8S / "pin.py", tmp_path)
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    command = [sys.executable, str(tmp_path / "pin.py"), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": path})
    return done, (tmp_path / "components/images/kustomization.yaml").read_text()


def test_digests_are_those_that_the_registry_names(tmp_path: Path) -> None:
    found = "sha256:" + "ab" * 32
    done, text = pin(tmp_path, f'echo "$@" >> {tmp_path}/asked; echo {found}', "two")
    assert (done.returncode, done.stdout) == (0, f"two: registry.example/two:2.0 {found}\n")
    assert text == IMAGES.replace("two # tag: 2.0\n    digest: sha256:" + "0" * 64, f"two # tag: 2.0\n    digest: {found}")
    assert "docker://registry.example/two:2.0" in (tmp_path / "asked").read_text()


def test_an_image_without_a_digest_changes_nothing(tmp_path: Path) -> None:
    done, text = pin(tmp_path, "echo 'manifest unknown' >&2; exit 1")
    assert (done.returncode, text) == (1, IMAGES)
    sentence = "registry.example/one:1.0 has no digest: manifest unknown. Name another registry or tag in kustomization.yaml"
    assert done.stderr == f"pin: {sentence}\n"


def test_pin_knows_every_image_of_the_tree() -> None:
    sys.path.insert(0, str(K8S))
    import pin as program

    text = (K8S / "components/images/kustomization.yaml").read_text()
    assert len(list(program.ENTRY.finditer(text))) == text.count("- name:")

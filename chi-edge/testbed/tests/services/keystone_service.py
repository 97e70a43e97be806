"""A real Keystone on 127.0.0.1: sqlite, fernet tokens, a catalogue with one region; run by the venv of the services."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

CONFIGURATION = """
[DEFAULT]
use_stderr = false
log_file = {folder}/keystone.log
[database]
connection = sqlite:///{folder}/keystone.db
[fernet_tokens]
key_repository = {folder}/fernet
[credential]
key_repository = {folder}/credential
[cache]
enabled = true
backend = oslo_cache.dict
[identity]
# The cheapest that Keystone allows: the tests make no secret that lasts.
password_hash_rounds = 4
"""


def prepare(folder: Path, port: int, password: str, region: str) -> Path:
    """Tables, keys and the first administrator. They are made once for an environment, beside it, and copied: it takes long."""
    made = Path(sys.prefix) / "keystone"
    if not made.exists():
        draft = made.with_name(f"keystone-{os.getpid()}")
        make(draft, password, region)
        draft.rename(made)
    shutil.copytree(made, folder)
    configuration = folder / "keystone.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder))
    with contextlib.closing(sqlite3.connect(folder / "keystone.db")) as database, database:
        database.execute("UPDATE endpoint SET url = ?", (f"http://127.0.0.1:{port}/v3",))
    return configuration


def make(folder: Path, password: str, region: str) -> None:
    """By Keystone's own program."""
    folder.mkdir()
    configuration = folder / "keystone.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder))
    manage = [str(Path(sys.executable).parent / "keystone-manage"), "--config-file", str(configuration)]
    owner = ["--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid())]
    address = ["--bootstrap-region-id", region, "--bootstrap-public-url", "http://127.0.0.1/v3"]
    for step in (["db_sync"], ["fernet_setup", *owner], ["bootstrap", "--bootstrap-password", password, *address]):
        subprocess.run([*manage, *step], check=True)


def serve(configuration: Path, port: int) -> None:
    """Until the process ends."""
    import waitress
    from keystone.server import wsgi

    sys.argv = ["keystone"]
    os.environ["OS_KEYSTONE_CONFIG_DIR"] = str(configuration.parent)
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = configuration.name
    waitress.serve(wsgi.initialize_public_application(), host="127.0.0.1", port=port, threads=4)


if __name__ == "__main__":
    place, number, secret, name = sys.argv[1:]
    serve(prepare(Path(place), int(number), secret, name), int(number))

"""What setup.sh and backup.sh say to somebody who gave them something wrong: what to do, before anything is made."""

import os
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent
EXAMPLE = (FOLDER / "example.env").read_text(encoding="utf-8")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="setup.sh asks for root first")


def variables(place: Path, **changed: str) -> Path:
    """A file of variables: the example's, but a folder of the test and what is `changed`."""
    lines = {"HEARTHWATCH_FOLDER": str(place / "fleet"), "HEARTHWATCH_HOST": "cloud.test"} | changed
    text = "\n".join(f"{name}={lines[name]}" if (name := line.split("=")[0]) in lines else line for line in EXAMPLE.splitlines())
    (place / "env").write_text(text, encoding="utf-8")
    return place / "env"


def setup(env: Path, *words: str) -> tuple[int, str]:
    """Exit code and words of setup.sh, in which no container can be started."""
    environment = {"PATH": os.environ["PATH"], "HEARTHWATCH_ENV": str(env), "COMPOSE": "false"}
    ended = subprocess.run([FOLDER / "setup.sh", *words], env=environment, capture_output=True, text=True, check=False)
    assert ended.stdout == ""
    return ended.returncode, ended.stderr.strip().removeprefix("setup: ")


@needs_root
def test_without_a_file_of_variables_setup_says_where_to_get_one(tmp_path: Path) -> None:
    env = tmp_path / "env"
    assert setup(env) == (66, f"{env} is not there; copy example.env to it and change what differs")


@needs_root
def test_a_name_that_is_still_the_example_is_refused_before_it_stands_in_a_certificate(tmp_path: Path) -> None:
    env = variables(tmp_path, HEARTHWATCH_HOST="cloud.example")
    assert setup(env) == (78, f"HEARTHWATCH_HOST is still the example; write the name or address of this node into {env}")


@needs_root
@pytest.mark.parametrize("folder", ["", "fleet", "/srv/my fleet", "/srv/a:b", "/"])
def test_a_folder_that_compose_could_not_mount_is_refused(tmp_path: Path, folder: str) -> None:
    env = variables(tmp_path, HEARTHWATCH_FOLDER=folder)
    said = f'HEARTHWATCH_FOLDER must be an absolute path without spaces, quotes and colons, and is "{folder}"; change it in {env}'
    assert setup(env) == (78, said)


@needs_root
def test_a_folder_of_somebody_elses_things_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "fleet/letters"
    other.mkdir(parents=True, mode=0o755)
    mode = other.parent.stat().st_mode
    remedy = "name an empty folder, or one that is not there, as HEARTHWATCH_FOLDER"
    said = f"{other.parent} holds {other}, and nothing that this script made; {remedy}"
    assert setup(variables(tmp_path)) == (73, said)
    assert other.parent.stat().st_mode == mode


@needs_root
def test_a_webhook_that_is_no_address_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    webhook = tmp_path / "webhook"
    webhook.write_text("hooks.example/alerts\n", encoding="utf-8")
    said = f"{webhook} must hold one address that begins with https:// or http://, and nothing else"
    assert setup(variables(tmp_path), "--webhook", str(webhook)) == (78, said)
    assert not (tmp_path / "fleet").exists()


@needs_root
def test_a_file_that_is_not_there_and_a_word_that_is_unknown_are_named(tmp_path: Path) -> None:
    env = variables(tmp_path)
    assert setup(env, "--rclone", "/nowhere") == (66, "/nowhere cannot be read")
    assert setup(env, "--force") == (64, "unknown word --force; setup.sh [--webhook FILE] [--rclone FILE]")


def backup(**environment: str) -> tuple[int, str]:
    """Exit code and words of `backup.sh once`."""
    words = ["sh", str(FOLDER / "backup.sh"), "once"]
    ended = subprocess.run(words, env={"PATH": os.environ["PATH"]} | environment, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stderr.strip().removeprefix("backup: ")


def test_a_backup_without_a_target_says_which_variable_is_wrong() -> None:
    assert backup() == (78, 'HEARTHWATCH_BACKUP_TARGET must be REMOTE:PATH, and is ""; change it in .env')


@pytest.mark.parametrize("keep", ["0", "-1", "two"])
def test_a_number_of_copies_that_would_delete_all_is_refused(keep: str) -> None:
    said = f'HEARTHWATCH_BACKUP_KEEP must be a whole number of at least 1, and is "{keep}"; change it in .env'
    assert backup(HEARTHWATCH_BACKUP_KEEP=keep) == (78, said)


def test_a_store_that_is_not_there_is_named(tmp_path: Path) -> None:
    place = {"HEARTHWATCH_BACKUP_STORE": str(tmp_path), "HEARTHWATCH_BACKUP_WORK": str(tmp_path), "HEARTHWATCH_BACKUP_TARGET": "check:"}
    assert backup(**place) == (1, f"{tmp_path}/aggregator.db does not exist: the aggregator has not run yet")

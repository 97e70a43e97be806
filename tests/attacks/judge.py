"""python-tuf's word on every attack beside this file: a second client, written by others, over the same bytes.

`python judge.py` prints one line for each folder and fails unless each is refused for the reason below, and the honest ones
are accepted. `cargo test --test attacks` says the same of Hearthwatch's own client.
"""

import sys
import tempfile
from pathlib import Path
from urllib.parse import urlparse

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

HERE = Path(__file__).parent
TARGET = "model-2.safetensors"

EXPECTED = {
    "honest": "accepted",
    "honest-rotated-root": "accepted",
    "tampered-target": "LengthOrHashMismatchError",
    "truncated-target": "LengthOrHashMismatchError",
    "endless-target": "DownloadLengthMismatchError",
    "endless-timestamp": "DownloadLengthMismatchError",
    "expired-root": "ExpiredMetadataError",
    "expired-targets": "ExpiredMetadataError",
    "expired-snapshot": "ExpiredMetadataError",
    "expired-timestamp": "ExpiredMetadataError",
    "frozen": "ExpiredMetadataError",
    "rolled-back-timestamp": "BadVersionNumberError",
    "rolled-back-snapshot": "BadVersionNumberError",
    "rolled-back-targets": "BadVersionNumberError",
    "mixed-snapshot": "LengthOrHashMismatchError",
    "mixed-targets": "BadVersionNumberError",
    "edited-timestamp": "UnsignedMetadataError",
    "wrong-role-timestamp": "UnsignedMetadataError",
    "wrong-role-snapshot": "UnsignedMetadataError",
    "wrong-role-targets": "UnsignedMetadataError",
    "below-threshold": "UnsignedMetadataError",
    "duplicate-key-ids": "DeserializationError",
    "strangers-root": "UnsignedMetadataError",
    "not-metadata": "DeserializationError",
}


class Files(FetcherInterface):
    """Reads file:// addresses; a missing file is a 404."""

    def _fetch(self, url):
        try:
            yield Path(urlparse(url).path).read_bytes()
        except FileNotFoundError:
            raise DownloadHTTPError(f"{url} is missing", 404) from None


def visit(state, metadata, files, bootstrap):
    updater = Updater(
        str(metadata),
        f"{state.as_uri()}/metadata/",
        str(files),
        f"{state.as_uri()}/targets/",
        Files(),
        bootstrap=bootstrap,
    )
    updater.refresh()
    return updater


def judge(case):
    with tempfile.TemporaryDirectory() as folder:
        metadata, files = Path(folder, "metadata"), Path(folder, "files")
        metadata.mkdir()
        files.mkdir()
        bootstrap = (case / "root.json").read_bytes()
        try:
            if (case / "seen").is_dir():
                visit(case / "seen", metadata, files, bootstrap)
            updater = visit(case / "now", metadata, files, bootstrap)
            updater.download_target(updater.get_targetinfo(TARGET))
            return "accepted"
        except Exception as error:  # the class of whatever it is, is the verdict
            return type(error).__name__


def main():
    cases = sorted(path for path in HERE.iterdir() if (path / "root.json").is_file())
    wrong = set(EXPECTED) ^ {case.name for case in cases}
    for case in cases:
        verdict = judge(case)
        if verdict != EXPECTED.get(case.name):
            wrong.add(case.name)
        print(f"{case.name:<24} {verdict}")
    print(f"{len(cases) - len(wrong)} passed, {len(wrong)} failed")
    if wrong:
        sys.exit("python-tuf does not judge as expected: " + ", ".join(sorted(wrong)))


if __name__ == "__main__":
    main()

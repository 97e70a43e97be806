"""Images of the programs that are measured, as `cargo xtask images` makes them, but of this machine's programs and libraries, and their engine."""

import os
import shutil
from pathlib import Path

from engine import ENGINE, Failed, run

TARGET = "x86_64-unknown-linux-gnu"
IMAGES = {
    "agent": "hearthwatch-edge",
    "aggregator": "hearthwatch-cloud",
    "provision": "hearthwatch-provision",
    "broker": "mosquitto",
}
OWN_STORE = """\
[storage]
driver = "overlay"
graphroot = "{folder}/store"
runroot = "{folder}/runroot"
"""
OWN_ENGINE = '[engine]\nruntime = "runc"\nevents_logger = "file"\n'
BROKER = 'FROM scratch\nCOPY rootfs/ /\nUSER 10001:10001\nENTRYPOINT ["/usr/local/bin/mosquitto"]\n'


def prepare(folder: Path) -> None:
    """Keeps images and containers apart from the machine's own."""
    (folder / "store").mkdir(parents=True, exist_ok=True)
    for name, text in (("storage.conf", OWN_STORE.format(folder=folder)), ("containers.conf", OWN_ENGINE)):
        (folder / name).write_text(text, encoding="utf-8")
    os.environ["CONTAINERS_STORAGE_CONF"] = str(folder / "storage.conf")
    os.environ["CONTAINERS_CONF"] = str(folder / "containers.conf")


def find(program: str, programs: Path) -> Path:
    """Where a program lies: ours among `programs`, the broker on this machine."""
    places = [programs / program] if program.startswith("hearthwatch") else [Path("/usr/sbin") / program, Path("/usr/bin") / program]
    for place in places:
        if place.is_file():
            return place
    if program.startswith("hearthwatch"):
        raise Failed(f"{programs} has no {program}; cargo build --release --workspace --bins")
    raise Failed(f"{program} is not installed; apt-get install {program}")


def build(folder: Path, tree: Path, programs: Path) -> dict[str, str]:
    """Makes the images whose programs have changed; their names."""
    work = folder / "work"
    stripped = work / TARGET / "stripped"
    stripped.mkdir(parents=True, exist_ok=True)
    (work / "root").mkdir(exist_ok=True)
    # What rootfs.sh looks for in a Debian root: this machine is one.
    for name in ("usr", "etc"):
        if not (work / "root" / name).is_symlink():
            (work / "root" / name).symlink_to(Path("/") / name)
    names = {}
    for image, program in IMAGES.items():
        names[image] = f"hearthwatch-size-{image}"
        source, kept = find(program, programs), work / program
        if kept.exists() and kept.read_bytes() == source.read_bytes() and _is_there(names[image]):
            continue
        run("strip", "--strip-all", "-o", stripped / program, source)
        context = folder / "context" / image
        run(tree / "chi-edge/images/rootfs.sh", work, "amd64", context / "rootfs", program)
        file = tree / f"chi-edge/images/{image}.Containerfile"
        if image == "broker":
            file = context / "Containerfile"
            file.write_text(BROKER, encoding="utf-8")
        words = ["build", "--quiet", "--isolation", "chroot", "--format", "docker", "--network", "host", "--build-arg", "BASE=scratch"]
        run("podman", *words, "--file", file, "--tag", names[image], context)
        shutil.copy2(source, kept)
    return names


def _is_there(image: str) -> bool:
    return image in run("podman", "images", "--format", "{{.Repository}}")


def file_of(image: str, program: str) -> Path:
    """The program's file as the image holds it, whose pages in memory are shared by all containers of the image."""
    return Path(run("podman", "image", "mount", image).strip()) / "usr/local/bin" / program


def forget_containers(prefix: str) -> None:
    """Removes what an interrupted measurement left."""
    for name in run(*ENGINE, "ps", "--all", "--format", "{{.Names}}").split():
        if name.startswith(prefix):
            run(*ENGINE, "rm", "--force", "--time", "1", name)

"""The command `testbed`: what can be asked of it, and how a problem is shown."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from hearthwatch_testbed import commands
from hearthwatch_testbed import options as shared
from hearthwatch_testbed.node import options as node
from hearthwatch_testbed.plan import Claim
from hearthwatch_testbed.problem import EXIT_FAILED, Problem

AGENT_IMAGE = "ghcr.io/hearthwatch/agent:latest"
EMULATOR_IMAGE = "ghcr.io/hearthwatch/emulator:latest"
#: Plays Home Assistant; the image's entrypoint is the program.
EMULATOR_COMMAND = "home-assistant"
HOME_ASSISTANT_IMAGE = "ghcr.io/home-assistant/home-assistant:stable"

OVERVIEW = """\
Hearthwatch on CHI@Edge: leases devices, runs agents on them, and gives everything back.

Log in first: `source` the openrc file of an unrestricted application credential for CHI@Edge, or name a cloud of
clouds.yaml by --os-cloud. Then:

  testbed doctor --suffix proj05 ...     is everything there?
  testbed up --suffix proj05 ... --dry-run   every request that would be sent; needs neither account nor network
  testbed up --suffix proj05 ...         make what is missing; run it again after any interruption
  testbed status --suffix proj05         what exists, in which state, and why
  testbed renew --suffix proj05          a later end for the lease
  testbed down --suffix proj05           give everything back, and check that nothing is left

The machine that the fleet's aggregator runs on: testbed node --help

Exit code: 0 done; 1 something is wrong (a sentence says what to do); 2 wrong options; 3 something is left after `down`.
"""

UP = """\
Makes a lease, one agent container or more on each device, and their Home Assistants; waits until they run.

Each device has at least one home. `--home-assistant 1 --emulated 8 --devices 4` makes nine homes on four devices: the first
has a real Home Assistant in a container beside its agent, and a third container that feeds it a recorded home (--no-feed
leaves it out); eight are played by the emulator. Without these two options every device has one emulated home, or, with
--home-assistant-url, a Home Assistant that is there already.

Run again, it makes nothing twice: it looks everything up by name. A container that was made from something else (another
image, lease or address) is replaced. A home has no disk: what it knows is lost with its container.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code."""
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except Problem as problem:
        print(f"testbed: {_of_group(str(problem), options)}", file=sys.stderr)
        return problem.exit_code
    except KeyboardInterrupt:
        sentence = "interrupted. `testbed status` shows what exists; the same command continues."
        print(f"testbed: {_of_group(sentence, options)}", file=sys.stderr)
        return EXIT_FAILED


def _of_group(sentence: str, options: argparse.Namespace) -> str:
    """Sentences about leases and sites are shared; they name commands that each group has."""
    if getattr(options, "group", None) != "node":
        return sentence
    return re.sub(r"`testbed (?=(up|status|renew|down)\b)", "`testbed node ", sentence)


def parser() -> argparse.ArgumentParser:
    """All options."""
    top = shared.Parser(
        prog="testbed",
        description=OVERVIEW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fromfile_prefix_chars="@",
    )
    tasks = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _doctor(tasks)
    _up(tasks)
    _status(tasks)
    _logs(tasks)
    _renew(tasks)
    _down(tasks)
    node.add(tasks)
    return top


def _machines(task: argparse.ArgumentParser) -> None:
    group = task.add_argument_group("devices")
    group.add_argument("--devices", type=int, default=1, metavar="N", help="how many (default: %(default)s)")
    group.add_argument(
        "--machine-type",
        default="raspberrypi5",
        metavar="TYPE",
        help="raspberrypi5, raspberrypi4-64, jetson-nano, jetson-xavier-nx-devkit-emmc (default: %(default)s)",
    )
    group.add_argument("--device", action="append", default=[], metavar="NAME", help="this device; may be repeated")


def _images(task: argparse.ArgumentParser) -> None:
    group = task.add_argument_group("images, for arm64, that can be fetched without a login")
    group.add_argument("--agent-image", default=AGENT_IMAGE, metavar="IMAGE", help="(default: %(default)s)")
    group.add_argument("--emulator-image", default=EMULATOR_IMAGE, metavar="IMAGE", help="(default: %(default)s)")
    group.add_argument(
        "--home-assistant-image", default=HOME_ASSISTANT_IMAGE, metavar="IMAGE", help="(default: %(default)s)"
    )


def _fleet(task: argparse.ArgumentParser) -> None:
    group = task.add_argument_group("the fleet")
    group.add_argument("--fleet-host", metavar="HOST", help="the name under which devices reach aggregator and broker")
    group.add_argument(
        "--http-port", type=int, default=8443, metavar="PORT", help="of the aggregator (default: %(default)s)"
    )
    group.add_argument(
        "--mqtt-port", type=int, default=8883, metavar="PORT", help="of the broker (default: %(default)s)"
    )
    _keys(group)


def _keys(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--keys", type=Path, metavar="DIR", help="the folder that `hearthwatch-provision init` filled")
    group.add_argument(
        "--provision",
        default="hearthwatch-provision",
        metavar="PROGRAM",
        help="issues claim tokens (default: %(default)s)",
    )


def _doctor(tasks: shared.Tasks) -> None:
    task = shared.task(
        tasks,
        "doctor",
        "check everything that `up` needs, and make nothing",
        "Checks images, keys, the fleet's ports, credentials, region, catalogue, roles and devices; says for each what to "
        "do. It makes nothing.",
    )
    _machines(task)
    _images(task)
    _fleet(task)
    task.set_defaults(run=commands.run_doctor)


def _up(tasks: shared.Tasks) -> None:
    task = shared.task(tasks, "up", "make what is missing", UP)
    _machines(task)
    task.add_argument(
        "--lease", default="1d", metavar="TIME", help="how long: 90m, 2h, 7d at most (default: %(default)s)"
    )
    homes = task.add_argument_group("homes")
    homes.add_argument(
        "--home-assistant", type=int, default=0, metavar="N", help="homes with a real Home Assistant beside"
    )
    homes.add_argument("--emulated", type=int, metavar="M", help="homes that the emulator plays (default: the rest)")
    homes.add_argument(
        "--emulator-command",
        default=EMULATOR_COMMAND,
        metavar="COMMAND",
        help="what the emulator's image is asked to do for those homes (default: %(default)s)",
    )
    homes.add_argument(
        "--no-feed",
        dest="feed",
        action="store_false",
        help="no recorded home is fed to the real Home Assistants: they have devices of their own. Without it each has a "
        "third container, the emulator's image with the command `feed`",
    )
    homes.add_argument(
        "--home-assistant-url", metavar="URL", help="the Home Assistant of the other homes, seen from devices"
    )
    homes.add_argument("--home-assistant-token", type=Path, metavar="FILE", help="its long-lived access token")
    homes.add_argument(
        "--claim",
        choices=[str(kind) for kind in Claim],
        default=str(Claim.ONCE),
        help="once: a claim token that is worthless after enrolment; an agent that restarts watches on outside the fleet "
        "until `up --replace-failed`. reusable: it comes back by itself, and who reads the project's containers can be "
        "that home (default: %(default)s)",
    )
    _images(task)
    _fleet(task)
    task.add_argument("--floating-ip", action="store_true", help="one, for the page of the first home's Home Assistant")
    task.add_argument(
        "--replace-failed", action="store_true", help="make failed containers, and agents with a spent token, anew"
    )
    task.add_argument(
        "--wait", default="10m", metavar="TIME", help="longest for a container to run (default: %(default)s)"
    )
    shared.dry_run(task, offline="as if nothing existed; needs neither account nor network")
    task.set_defaults(run=commands.run_up)


def _status(tasks: shared.Tasks) -> None:
    task = shared.task(
        tasks,
        "status",
        "what exists, in which state, and why",
        "Lists the lease, containers and floating IPs with their states and reasons; what is missing of the last `up`; and "
        "what else ends in the suffix. It changes nothing.",
    )
    task.set_defaults(run=commands.run_status)


def _logs(tasks: shared.Tasks) -> None:
    task = shared.task(
        tasks, "logs", "what containers printed", "Prints the logs of this testbed's containers, or of one."
    )
    task.add_argument("container", nargs="?", help="its name; without it all of them")
    task.add_argument("--tail", type=int, default=100, metavar="LINES", help="the last lines (default: %(default)s)")
    task.set_defaults(run=commands.run_logs)


def _renew(tasks: shared.Tasks) -> None:
    task = shared.task(
        tasks,
        "renew",
        "a later end for the lease",
        "Moves the end of the lease, and says when it ends. The site allows it in the last two days of a lease.",
    )
    task.add_argument(
        "--for", dest="length", default="7d", metavar="TIME", help="from now, 7d at most (default: %(default)s)"
    )
    shared.dry_run(task, offline="as if the last `up` had made everything")
    task.set_defaults(run=commands.run_renew)


def _down(tasks: shared.Tasks) -> None:
    task = shared.task(
        tasks,
        "down",
        "give everything back",
        "Deletes containers, gives floating IPs back, deletes the lease, revokes the homes' certificates (with --keys), and "
        "checks that nothing is left with the suffix. Exit code 3 and a list if something is.",
    )
    _keys(task.add_argument_group("the fleet"))
    shared.dry_run(task, offline="as if the last `up` had made everything")
    task.set_defaults(run=commands.run_down)

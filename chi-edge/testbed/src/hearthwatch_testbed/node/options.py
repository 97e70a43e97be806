"""What can be asked of `testbed node`."""

import argparse
from pathlib import Path

from hearthwatch_testbed import options as shared
from hearthwatch_testbed.node import commands

SITE = "CHI@UC"
OVERVIEW = """\
One machine for the cloud side of a fleet: broker, signer, aggregator, monitoring.

At CHI@UC and CHI@TACC (bare metal):     testbed node up, status, renew, down
At KVM@TACC (a virtual machine):         testbed node lease; then Terraform (chi-edge/terraform); testbed node renew, down
"""
UP = """\
Makes a lease, a floating IP and a server, and binds them. The server sets itself up at its first boot, by chi-edge/ansible.

Run again, it makes nothing twice: it looks everything up by name. A server that was made from something else stays, since
its disk holds the fleet's data; --replace makes it anew. At the end of the lease the disk is lost.
"""


def add(tasks: shared.Tasks) -> None:
    """The group and its commands."""
    group = tasks.add_parser(
        "node",
        help="the machine for the fleet's cloud side",
        description=OVERVIEW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group.set_defaults(group="node")
    of_node = group.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _up(of_node)
    _lease(of_node)
    status = shared.task(
        of_node, "status", "what exists, in which state, and why", "Lists lease, server and floating IP.", SITE
    )
    status.set_defaults(run=commands.run_status)
    _renew(of_node)
    _down(of_node)


def _reserved(task: argparse.ArgumentParser) -> None:
    group = task.add_argument_group("which machine")
    group.add_argument("--node-type", metavar="TYPE", help="of bare metal, such as gpu_rtx_6000")
    group.add_argument("--node", metavar="NAME", help="this node of bare metal")
    group.add_argument("--lease", default="1d", metavar="TIME", help="how long: 2h, 7d (default: %(default)s)")


def _up(tasks: shared.Tasks) -> None:
    task = shared.task(tasks, "up", "make what is missing, on bare metal", UP, SITE)
    _reserved(task)
    task.add_argument("--gpu", action="store_true", help="the node has a GPU of NVIDIA: an image with CUDA")
    task.add_argument("--image", metavar="NAME", help="another image than CC-Ubuntu24.04 or CC-Ubuntu24.04-CUDA")
    task.add_argument("--network", default="sharednet1", metavar="NAME", help="(default: %(default)s)")
    task.add_argument("--key", required=True, metavar="NAME", help="your key pair at this site")
    who = task.add_argument_group("who may connect")
    who.add_argument("--admin-cidr", required=True, metavar="CIDR", help="administrators: ssh")
    who.add_argument(
        "--agent-cidr", default="0.0.0.0/0", metavar="CIDR", help="agents: broker and aggregator (default: %(default)s)"
    )
    what = task.add_argument_group("what it runs")
    what.add_argument("--repository", required=True, metavar="URL", help="this project, by git, without a login")
    what.add_argument("--revision", required=True, metavar="COMMIT", help="its 40 digits: `git rev-parse HEAD`")
    what.add_argument(
        "--registry",
        default="",
        metavar="PREFIX",
        help="of its images, such as ghcr.io/somebody/; without it you load them by hand",
    )
    what.add_argument("--tag", default="0.1.0-amd64", help="of these images (default: %(default)s)")
    what.add_argument(
        "--cuda-image", default="", metavar="IMAGE", help="with --gpu: an aggregator built with the feature cuda"
    )
    what.add_argument(
        "--fleet-host", metavar="HOST", help="the name under which agents reach it (default: its address)"
    )
    what.add_argument(
        "--cloud-init",
        type=Path,
        default=Path("chi-edge/cloud-init"),
        metavar="DIR",
        help="the folder with the user data (default: %(default)s)",
    )
    task.add_argument("--replace", action="store_true", help="make the server anew; everything on its disk is lost")
    task.add_argument("--wait", default="1h", metavar="TIME", help="longest for the server (default: %(default)s)")
    shared.dry_run(task, offline="as if nothing existed; needs neither account nor network")
    task.set_defaults(run=commands.run_up)


def _lease(tasks: shared.Tasks) -> None:
    task = shared.task(
        tasks,
        "lease",
        "the lease alone, for a machine that Terraform makes",
        "Makes the lease if it is missing, and prints the id of its reservation as a line for terraform.tfvars.",
        SITE,
    )
    _reserved(task)
    task.add_argument("--flavor", metavar="NAME", help="at KVM@TACC, such as m1.xlarge or g1.h100.pci.1")
    shared.dry_run(task, offline="as if nothing existed; needs neither account nor network")
    task.set_defaults(run=commands.run_lease)


def _renew(tasks: shared.Tasks) -> None:
    task = shared.task(tasks, "renew", "a later end for the lease", "Moves the end of the lease.", SITE)
    task.add_argument("--for", dest="length", default="7d", metavar="TIME", help="from now (default: %(default)s)")
    shared.dry_run(task, offline="as if `up` had made everything")
    task.set_defaults(run=commands.run_renew)


def _down(tasks: shared.Tasks) -> None:
    task = shared.task(
        tasks,
        "down",
        "give everything back",
        "Deletes the server, gives the floating IP back, deletes the lease, and checks that nothing of them is left.",
        SITE,
    )
    shared.dry_run(task, offline="as if `up` had made everything")
    task.set_defaults(run=commands.run_down)

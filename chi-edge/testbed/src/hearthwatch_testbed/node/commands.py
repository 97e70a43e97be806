"""From options to a run of `testbed node`."""

import os
from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from hearthwatch_testbed import credentials
from hearthwatch_testbed.clock import Clock, NoWaiting, WallClock
from hearthwatch_testbed.names import Names
from hearthwatch_testbed.node import dry_site, plan
from hearthwatch_testbed.node.inventory import NodeDown, inventory, report
from hearthwatch_testbed.node.site import SERVICES, NodeSite
from hearthwatch_testbed.node.up import NodeUp
from hearthwatch_testbed.plan import duration
from hearthwatch_testbed.problem import EXIT_USAGE, Problem
from hearthwatch_testbed.renew import renew


def run_up(options: Namespace) -> int:
    """`testbed node up`."""
    if options.site == plan.KVM:
        raise Problem(
            f"At {plan.KVM} Terraform makes the node: run `testbed node lease --flavor FLAVOUR`, then `terraform apply` in "
            "chi-edge/terraform/node.",
            EXIT_USAGE,
        )
    _up(options, _node_plan(options)).run()
    return 0


def run_lease(options: Namespace) -> int:
    """`testbed node lease`: the last line is one for terraform.tfvars."""
    reserved = plan.reserved(options.site, options.node_type, options.node, options.flavor)
    length = plan.node_lease_length(options.lease, options.site)
    wanted = plan.NodePlan(_names(options), reserved, length, "", "", "", {})
    lease = _up(options, wanted).lease()
    print(f'reservation = "{lease.reservations[0]}"')
    return 0


def _node_plan(options: Namespace) -> plan.NodePlan:
    """All that can be wrong with the options is said here, before anything is sent."""
    settings: dict[str, object] = {
        "hearthwatch_repository": plan.repository_of(options.repository),
        "hearthwatch_revision": plan.revision_of(options.revision),
        "hearthwatch_registry": plan.registry_of(options.registry),
        "hearthwatch_tag": options.tag,
        "hearthwatch_gpu": options.gpu,
        "hearthwatch_cuda_image": plan.cuda_image_of(options.cuda_image, gpu=options.gpu),
        # Bare metal has no security groups.
        "hearthwatch_firewall": True,
        "hearthwatch_admin_cidr": plan.network_of(options.admin_cidr, "--admin-cidr", everywhere=False),
        "hearthwatch_agent_cidr": plan.network_of(options.agent_cidr, "--agent-cidr", everywhere=True),
    }
    if options.fleet_host:
        settings["hearthwatch_fleet_host"] = options.fleet_host
    return plan.NodePlan(
        names=_names(options),
        reserved=plan.reserved(options.site, options.node_type, options.node, None),
        lease=plan.node_lease_length(options.lease, options.site),
        image=plan.image_of(options.image, options.node_type, gpu=options.gpu),
        network=options.network,
        key=options.key,
        settings=settings,
    )


def _up(options: Namespace, wanted: plan.NodePlan) -> NodeUp:
    clock, site = _site(options)
    return NodeUp(
        plan=wanted,
        site=site,
        clock=clock,
        say=_say(options),
        cloud_init=getattr(options, "cloud_init", Path()),
        wait=duration(getattr(options, "wait", "1h")),
        replace=getattr(options, "replace", False),
    )


def _site(options: Namespace, *, made: bool = False) -> tuple[Clock, NodeSite]:
    """`made`: an offline dry run begins with what `up` makes."""
    if getattr(options, "dry_run", None):
        now = datetime.now(UTC)
        return NoWaiting(now), dry_site.site(dry_site.prepared(options, _names(options), now, made=made))
    connection = connected(options)
    credentials.check_may_lease(connection)
    return WallClock(), NodeSite(connection, options.site)


def connected(options: Namespace) -> credentials.Connection:
    """Logged in at the site."""
    return credentials.connect(os.environ, options.os_cloud, options.site, credentials.transport(), SERVICES)


def _names(options: Namespace) -> Names:
    return Names(f"{options.fleet_name}-node", options.suffix)


def _say(options: Namespace) -> Callable[[str], None]:
    return (lambda line: print(f"# {line}")) if getattr(options, "dry_run", None) else print


def run_status(options: Namespace) -> int:
    """`testbed node status`."""
    site = NodeSite(connected(options), options.site)
    print(report(inventory(site, _names(options)), _names(options), datetime.now(UTC)))
    return 0


def run_renew(options: Namespace) -> int:
    """`testbed node renew`."""
    clock, site = _site(options, made=True)
    longest = plan.longest(options.site)
    renew(site, _names(options), duration(options.length), clock.now(), _say(options), longest)
    return 0


def run_down(options: Namespace) -> int:
    """`testbed node down`."""
    clock, site = _site(options, made=True)
    NodeDown(_names(options), site, clock, _say(options)).run()
    return 0

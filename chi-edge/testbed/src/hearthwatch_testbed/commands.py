"""From options to a run: puts plan, site, claims and journal together for each command."""

import os
import shlex
from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from hearthwatch_testbed import credentials, dry_run
from hearthwatch_testbed.claims import Claims, DryClaims, Provision
from hearthwatch_testbed.clock import Clock, NoWaiting, WallClock
from hearthwatch_testbed.doctor import Doctor, Wanted
from hearthwatch_testbed.down import Down
from hearthwatch_testbed.journal import Journal
from hearthwatch_testbed.names import Names
from hearthwatch_testbed.plan import Claim, Fleet, Images, Plan, Source, allot, check_image, duration, lease_length
from hearthwatch_testbed.problem import EXIT_USAGE, Problem
from hearthwatch_testbed.renew import renew
from hearthwatch_testbed.site import Site
from hearthwatch_testbed.status import inventory, report
from hearthwatch_testbed.up import Options, Up

#: In a dry run, for what is not known yet.
UNKNOWN_HOST = "fleet.example"


def run_up(options: Namespace) -> int:
    """`testbed up`."""
    plan = plan_of(options)
    journal = journal_of(options)
    clock, site, claims = _parts(options)
    if not options.dry_run:
        journal.write(containers=plan.containers(), homes=[home.name for home in plan.homes], devices=plan.devices)
    Up(
        plan=plan,
        site=site,
        claims=claims,
        secret="of-a-dry-run" if options.dry_run else journal.secret(),
        elsewhere_token=_elsewhere_token(options, plan),
        clock=clock,
        options=Options(duration(options.wait), options.replace_failed),
        say=_say(options),
    ).run()
    return 0


def _parts(options: Namespace) -> tuple[Clock, Site, Claims]:
    provision = Provision(options.provision, options.keys) if options.keys else None
    if options.dry_run:
        dry_site = dry_run.prepared(options, [])
        return NoWaiting(datetime.now(UTC)), dry_run.site(dry_site), DryClaims(provision)
    if provision is None:
        raise Problem("--keys is missing: the folder that `hearthwatch-provision init` filled.", EXIT_USAGE)
    connection = _connection(options)
    credentials.check_may_lease(connection)
    return WallClock(), Site(connection), provision


def plan_of(options: Namespace) -> Plan:
    """All that can be wrong with the options is said here, before anything is sent."""
    names = names_of(options)
    if len(options.device) > options.devices:
        raise Problem(f"{len(options.device)} devices are named, and --devices is {options.devices}.", EXIT_USAGE)
    elsewhere = options.home_assistant_url is not None
    counts = (options.devices, options.home_assistant, options.emulated)
    homes = allot(names, *counts, elsewhere=elsewhere, feed=options.feed)
    if not options.fleet_host and not options.dry_run:
        raise Problem("--fleet-host is missing: the name under which devices reach aggregator and broker.", EXIT_USAGE)
    if options.floating_ip and homes[0].source is Source.ELSEWHERE:
        raise Problem("--floating-ip leads to a Home Assistant in a container: give --home-assistant 1.", EXIT_USAGE)
    return Plan(
        names=names,
        devices=options.devices,
        machine_type=options.machine_type,
        device_names=tuple(options.device),
        lease=lease_length(options.lease),
        images=images_of(options),
        fleet=Fleet(options.fleet_host or UNKNOWN_HOST, options.mqtt_port, options.http_port),
        homes=homes,
        claim=Claim(options.claim),
        home_assistant_url=options.home_assistant_url,
        emulator_command=tuple(shlex.split(options.emulator_command)),
        floating_ip=options.floating_ip,
    )


def images_of(options: Namespace) -> Images:
    """Checked by their form."""
    return Images(
        check_image(options.agent_image, "--agent-image"),
        check_image(options.home_assistant_image, "--home-assistant-image"),
        check_image(options.emulator_image, "--emulator-image"),
    )


def names_of(options: Namespace) -> Names:
    """Of this testbed."""
    return Names(options.fleet_name, options.suffix)


def journal_of(options: Namespace) -> Journal:
    """Of this testbed."""
    folder: Path = options.state_dir
    return Journal(folder / f"{names_of(options).lease}.json")


def _elsewhere_token(options: Namespace, plan: Plan) -> str:
    if all(home.source is not Source.ELSEWHERE for home in plan.homes):
        return ""
    path: Path | None = options.home_assistant_token
    if path is None:
        if options.dry_run:
            return "(secret)"
        raise Problem("--home-assistant-url needs --home-assistant-token: a file with a long-lived token.", EXIT_USAGE)
    try:
        return path.read_text().strip()
    except OSError as error:
        raise Problem(
            f"{path} cannot be read ({error.strerror}): it holds Home Assistant's token.", EXIT_USAGE
        ) from error


def _connection(options: Namespace) -> credentials.Connection:
    return credentials.connect(os.environ, options.os_cloud, options.site, credentials.transport())


def _say(options: Namespace) -> Callable[[str], None]:
    return (lambda line: print(f"# {line}")) if getattr(options, "dry_run", None) else print


def run_status(options: Namespace) -> int:
    """`testbed status`."""
    names = names_of(options)
    planned = journal_of(options).read().get("containers")
    found = inventory(Site(_connection(options)), names)
    print(report(found, names, tuple(planned) if isinstance(planned, list) else None, datetime.now(UTC)))
    return 0


def run_logs(options: Namespace) -> int:
    """`testbed logs`."""
    names = names_of(options)
    site = Site(_connection(options))
    own = inventory(site, names).owned_by(names).containers
    chosen = [one for one in own if options.container in (None, one.name)]
    if not chosen:
        raise Problem(
            f"There is no container {options.container or 'of this testbed'}; there are: "
            f"{', '.join(one.name for one in own) or 'none'}."
        )
    for container in chosen:
        print(f"== {container.name}  {container.state()}")
        try:
            print(site.logs(container, options.tail))
        except Problem as problem:
            print(f"(no log: {problem})")
    return 0


def run_renew(options: Namespace) -> int:
    """`testbed renew`."""
    site = dry_run.site(dry_run.prepared(options, _made(options))) if options.dry_run else Site(_connection(options))
    renew(site, names_of(options), duration(options.length), datetime.now(UTC), _say(options))
    return 0


def run_down(options: Namespace) -> int:
    """`testbed down`."""
    journal = journal_of(options)
    homes = journal.read().get("homes")
    provision = Provision(options.provision, options.keys) if options.keys else None
    clock: Clock = WallClock()
    claims: Claims | None = provision
    if options.dry_run:
        site = dry_run.site(dry_run.prepared(options, _made(options)))
        clock, claims = NoWaiting(datetime.now(UTC)), DryClaims(provision)
    else:
        site = Site(_connection(options))
    Down(names_of(options), site, claims, tuple(homes) if isinstance(homes, list) else (), clock, _say(options)).run()
    if not options.dry_run:
        journal.forget()
    return 0


def _made(options: Namespace) -> list[str]:
    """The containers that the last `up` made, for a dry run that assumes them."""
    planned = journal_of(options).read().get("containers")
    return [str(name) for name in planned] if isinstance(planned, list) else [names_of(options).container("agent", 1)]


def run_doctor(options: Namespace) -> int:
    """`testbed doctor`."""
    wanted = Wanted(
        site=options.site,
        os_cloud=options.os_cloud,
        machine_type=options.machine_type,
        device_names=tuple(options.device),
        devices=options.devices,
        images=Images(options.agent_image, options.home_assistant_image, options.emulator_image),
        provision=Provision(options.provision, options.keys) if options.keys else None,
        fleet_host=options.fleet_host,
        ports=(options.http_port, options.mqtt_port),
    )
    names_of(options)
    return 1 if Doctor(wanted, os.environ, credentials.transport(), print).run() else 0

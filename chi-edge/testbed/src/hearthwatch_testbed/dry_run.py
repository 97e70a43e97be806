"""Sets a dry run up: a site in memory, empty, as the last `up` left it, or as the real one is now."""

import os
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from typing import Any

from hearthwatch_testbed import credentials
from hearthwatch_testbed.containers import PLAN_LABEL
from hearthwatch_testbed.dry_site import DrySite
from hearthwatch_testbed.names import Names
from hearthwatch_testbed.site import Site


def prepared(options: Namespace, containers: list[str]) -> DrySite:
    """`containers` are the names of those that an offline dry run begins with; with them comes their lease."""
    dry_site = DrySite(options.site, print)
    if options.dry_run == "live":
        connection = credentials.connect(os.environ, options.os_cloud, options.site, credentials.transport())
        dry_site.leases, dry_site.containers, dry_site.floating_ips = Site(connection).snapshot()
    elif containers:
        _assume(dry_site, Names(options.fleet_name, options.suffix), containers)
    return dry_site


def _assume(dry_site: DrySite, names: Names, containers: list[str]) -> None:
    end = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.000000")
    lease = {"id": "(lease 1)", "name": names.lease, "status": "ACTIVE", "end_date": end, "reservations": []}
    dry_site.leases["(lease 1)"] = lease
    for number, name in enumerate(containers, start=1):
        key = f"(container {number})"
        dry_site.containers[key] = {"uuid": key, "name": name, "status": "Running", "labels": {PLAN_LABEL: "assumed"}}


def site(dry_site: DrySite) -> Site:
    """The real clients, above the site in memory."""
    return Site(credentials.opened(adapter(dry_site), dry_site.site))


def adapter(dry_site: DrySite) -> Any:
    """What would reach the network, above the site in memory."""
    from keystoneauth1.adapter import Adapter
    from keystoneauth1.identity.v3 import ApplicationCredential
    from keystoneauth1.session import Session

    auth = ApplicationCredential(
        os.environ.get("OS_AUTH_URL", credentials.auth_url(dry_site.site)),
        application_credential_id=os.environ.get("OS_APPLICATION_CREDENTIAL_ID", "(your credential)"),
        application_credential_secret="(secret)",  # noqa: S106 (what is printed in its place)
    )
    session = Session(auth=auth, session=dry_site.session())
    return Adapter(session, interface="public", region_name=dry_site.site)

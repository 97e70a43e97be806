"""`testbed renew`: a later end for the lease, before the end takes every container along."""

from collections.abc import Callable
from datetime import datetime, timedelta

from hearthwatch_testbed.leases import EXTENSION_WINDOW, OVER, extended, remaining
from hearthwatch_testbed.names import Names
from hearthwatch_testbed.plan import LEASE_MAX
from hearthwatch_testbed.problem import Problem
from hearthwatch_testbed.reserving import ReservingSite


def renew(
    site: ReservingSite,
    names: Names,
    length: timedelta,
    now: datetime,
    say: Callable[[str], None],
    longest: timedelta = LEASE_MAX,
) -> None:
    """To `length` from now. Run twice, the second does nothing."""
    found = [one for one in site.leases() if one.name == names.lease and one.status not in OVER]
    if not found:
        raise Problem(f"There is no lease {names.lease} to renew: `testbed up` makes one.")
    lease = found[0]
    end = extended(lease, length, now, longest)
    if end <= lease.end:
        say(f"lease {lease.name}: ends {lease.end:%Y-%m-%d %H:%M} UTC already, in {remaining(lease, now)}")
        return
    if lease.end - now > EXTENSION_WINDOW:
        opens = lease.end - EXTENSION_WINDOW
        say(
            f"lease {lease.name}: the site may refuse an extension before {opens:%Y-%m-%d %H:%M} UTC; asking all the same"
        )
    lease = site.extend_lease(lease, end)
    say(f"lease {lease.name}: ends {lease.end:%Y-%m-%d %H:%M} UTC, in {remaining(lease, now)}")

"""Credentials from the environment or clouds.yaml, and the session that they open."""

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from hearthwatch_testbed.problem import NO_CREDENTIALS, RESTRICTED_CREDENTIAL, Problem, explained

#: Longest wait for one answer. Making a lease takes some seconds at the site.
SECONDS_MAX = 120
#: Three more tries after 1, 2 and 4 s, of what changes nothing. What makes something is not sent twice: it might make two.
RETRIES = Retry(
    total=3, backoff_factor=1, allowed_methods={"GET"}, status_forcelist=(502, 503, 504), raise_on_status=False
)
#: What a site must have: type of the service, and for what.
Services = Mapping[str, str]
SERVICES: Services = {
    "reservation": "Blazar, for leases",
    "container": "Zun, for containers",
    "network": "Neutron, for addresses",
}
FOR_WHAT = "CHI@Edge for devices; CHI@UC, CHI@TACC or KVM@TACC for nodes"


def auth_url(site: str) -> str:
    """Where the site's Keystone is: `CHI@UC` is at chi.uc."""
    known = site if site in ("CHI@UC", "CHI@TACC", "KVM@TACC") else "CHI@Edge"
    return f"https://{known.lower().replace('@', '.')}.chameleoncloud.org:5000/v3"


@dataclass(frozen=True)
class Connection:
    """An open session at one site."""

    #: What python-chi's clients take: a keystoneauth adapter.
    adapter: Any
    token: dict[str, Any]

    @property
    def restricted(self) -> bool:
        """Whether the credential is an application credential that may not make trusts."""
        return bool((self.token.get("application_credential") or {}).get("restricted"))

    @property
    def roles(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(str(role["name"]) for role in self.token.get("roles") or [])

    def regions(self, kind: str) -> set[str]:
        """Where the catalogue has this service."""
        services = [one for one in self.token.get("catalog") or [] if one["type"] == kind]
        return {str(end.get("region_id") or end.get("region")) for one in services for end in one["endpoints"]}


def transport() -> requests.Session:
    """Requests over the network."""
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=RETRIES))
    return session


def present(environment: Mapping[str, str], os_cloud: str | None) -> bool:
    """Whether there is anything to log in with."""
    return bool(os_cloud or environment.get("OS_CLOUD") or environment.get("OS_AUTH_URL"))


def connect(
    environment: Mapping[str, str],
    os_cloud: str | None,
    site: str,
    session: requests.Session,
    services: Services = SERVICES,
) -> Connection:
    """Logs in, and checks that the site is the right one."""
    if not present(environment, os_cloud):
        raise Problem(NO_CREDENTIALS)
    named = environment.get("OS_REGION_NAME")
    if named and named != site and not os_cloud:
        raise Problem(
            f"The credential is for {named}, and the testbed is to be at {site}: `source` the openrc file of {site}, or "
            f"give --site {named}. Each site has its own credentials."
        )
    adapter = _adapter(_cloud(os_cloud, site), site, session)
    return opened(adapter, site, services)


def opened(adapter: Any, site: str, services: Services = SERVICES) -> Connection:
    """Asks Keystone for a token."""
    auth = adapter.session.auth
    with explained("Logging in"):
        token = auth.get_access(adapter.session)._data["token"]  # noqa: SLF001 (no accessor tells whether it is restricted)
    connection = Connection(adapter, token)
    for kind, what in services.items():
        regions = connection.regions(kind)
        if site not in regions:
            others = ", ".join(sorted(regions)) or "none"
            raise Problem(
                f"The catalogue has no service {kind!r} ({what}) in the region {site!r}; it has it in: {others}. "
                f"Check --site ({FOR_WHAT}), and that OS_AUTH_URL is {auth_url(site)}."
            )
    return connection


def check_may_lease(connection: Connection) -> None:
    """Before the first request that makes something."""
    if connection.restricted:
        raise Problem(RESTRICTED_CREDENTIAL)


def _cloud(os_cloud: str | None, site: str) -> Any:
    import openstack.config
    from keystoneauth1.exceptions import AuthPluginException
    from openstack.exceptions import ConfigException

    # It looks at every way to log in that is installed, and says which cannot be used; ours can.
    logging.getLogger("stevedore").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="openstack")

    try:
        return openstack.config.OpenStackConfig().get_one(cloud=os_cloud, region_name=site)
    except (ConfigException, AuthPluginException) as error:
        raise Problem(f"The credentials are not complete: {error} {NO_CREDENTIALS.partition('. ')[2]}") from error


def _adapter(cloud: Any, site: str, session: requests.Session) -> Any:
    from keystoneauth1.adapter import Adapter
    from keystoneauth1.session import Session

    verify, cert = cloud.get_requests_verify_args()
    keystone = Session(auth=cloud.get_auth(), verify=verify, cert=cert, session=session, timeout=SECONDS_MAX)
    return Adapter(keystone, interface="public", region_name=site)

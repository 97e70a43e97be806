"""What a Home Assistant in a container is given, so that tokens are valid from its first start on, without onboarding.

Home Assistant keeps its users in `.storage/auth`, which it rewrites, and a bind mount on CHI@Edge is one file that cannot be
replaced. So the seed is mounted elsewhere and copied before the start.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass

from hearthwatch_testbed.edge_toml import FOLDER

PORT = 8123
#: 400 days, in seconds: the fleet's root expires first.
TOKEN_LIFE = 400 * 86_400
#: A fixed moment of issue, so that the same secret gives the same token. Home Assistant checks only that it is past.
ISSUED_AT = 1_767_225_600
_CREATED = "2026-01-01T00:00:00+00:00"

CONFIGURATION = """\
# Written by `testbed up`. What the agent needs, and the page.
frontend:
history:
logbook:
recorder:
"""

# `exec` so that the program that gets SIGTERM is the image's own.
_START = (
    f"mkdir -p /config/.storage && cp {FOLDER}/auth {FOLDER}/onboarding /config/.storage/ "
    f"&& cp {FOLDER}/configuration.yaml /config/ && exec /init"
)
COMMAND = ("sh", "-c", _START)


@dataclass(frozen=True)
class Seed:
    """Users and onboarding as Home Assistant stores them, and the tokens that are valid there."""

    auth: str
    onboarding: str
    #: The agent's, of a user without administrator rights.
    token: str
    #: The owner's, for the feed: Home Assistant lets only administrators set states. None where nothing is fed.
    owner_token: str | None


def derived(secret: str, *purpose: str) -> str:
    """A secret for one purpose: 64 hexadecimal digits."""
    return hmac.new(secret.encode(), "\0".join(purpose).encode(), hashlib.sha256).hexdigest()


def seed(secret: str, home: str, *, fed: bool) -> Seed:
    """The same for the same secret and home: a container that is made again gets the token that is valid already."""
    owner, user, refresh, owner_refresh = (
        derived(secret, home, name)[:32] for name in ("owner", "user", "refresh", "owner refresh")
    )
    key, owner_key = (derived(secret, home, name) * 2 for name in ("key", "owner key"))
    users = [_user(owner, "owner", "system-admin", owner=True), _user(user, "hearthwatch", "system-users")]
    groups = [{"id": f"system-{kind}", "name": kind} for kind in ("admin", "users", "read-only")]
    grants = [_grant(refresh, user, "Hearthwatch", derived(secret, home, "grant"), key)]
    if fed:
        grants.append(_grant(owner_refresh, owner, "Feed", derived(secret, home, "owner grant"), owner_key))
    data = {"users": users, "groups": groups, "credentials": [], "refresh_tokens": grants}
    steps = {"done": ["user", "core_config", "analytics", "integration"]}
    return Seed(
        auth=_stored("auth", 1, data),
        onboarding=_stored("onboarding", 4, steps),
        token=_token(refresh, key),
        owner_token=_token(owner_refresh, owner_key) if fed else None,
    )


def _grant(identifier: str, user: str, name: str, token: str, key: str) -> dict[str, object]:
    return {
        "id": identifier,
        "user_id": user,
        "client_id": None,
        "client_name": name,
        "client_icon": None,
        "token_type": "long_lived_access_token",
        "created_at": _CREATED,
        "access_token_expiration": float(TOKEN_LIFE),
        "token": token,
        "jwt_key": key,
        "last_used_at": None,
        "last_used_ip": None,
        "expire_at": None,
        "credential_id": None,
        "version": None,
    }


def _user(identifier: str, name: str, group: str, *, owner: bool = False) -> dict[str, object]:
    return {
        "id": identifier,
        "group_ids": [group],
        "is_owner": owner,
        "is_active": True,
        "name": name,
        "system_generated": False,
        "local_only": False,
    }


def _stored(key: str, version: int, data: object) -> str:
    return json.dumps({"version": version, "minor_version": 1, "key": key, "data": data}, indent=1)


def _token(issuer: str, key: str) -> str:
    claims = {"iss": issuer, "iat": ISSUED_AT, "exp": ISSUED_AT + TOKEN_LIFE}
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{signed}.{_encoded(hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest())}"


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

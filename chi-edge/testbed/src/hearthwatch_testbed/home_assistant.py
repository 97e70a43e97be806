"""What a Home Assistant in a container is given, so that the agent's token is valid from its first start on, without onboarding.

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
    """A user without administrator rights, and its token."""

    auth: str
    onboarding: str
    token: str


def derived(secret: str, *purpose: str) -> str:
    """A secret for one purpose: 64 hexadecimal digits."""
    return hmac.new(secret.encode(), "\0".join(purpose).encode(), hashlib.sha256).hexdigest()


def seed(secret: str, home: str) -> Seed:
    """The same for the same secret and home: an agent that is made again gets the token that is valid already."""
    owner, user, refresh = (derived(secret, home, name)[:32] for name in ("owner", "user", "refresh"))
    key = derived(secret, home, "key") * 2
    users = [_user(owner, "owner", "system-admin", owner=True), _user(user, "hearthwatch", "system-users")]
    groups = [{"id": f"system-{kind}", "name": kind} for kind in ("admin", "users", "read-only")]
    grant = {
        "id": refresh,
        "user_id": user,
        "client_id": None,
        "client_name": "Hearthwatch",
        "client_icon": None,
        "token_type": "long_lived_access_token",
        "created_at": _CREATED,
        "access_token_expiration": float(TOKEN_LIFE),
        "token": derived(secret, home, "grant"),
        "jwt_key": key,
        "last_used_at": None,
        "last_used_ip": None,
        "expire_at": None,
        "credential_id": None,
        "version": None,
    }
    data = {"users": users, "groups": groups, "credentials": [], "refresh_tokens": [grant]}
    steps = {"done": ["user", "core_config", "analytics", "integration"]}
    return Seed(_stored("auth", 1, data), _stored("onboarding", 4, steps), _token(refresh, key))


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

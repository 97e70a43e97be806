"""Starts Home Assistant so that it can neither be reached nor reach out beyond this machine.

Home Assistant announces itself by mDNS on every interface, and falls back to listening everywhere when its configuration
is broken. Python asks this hook before any socket is bound or connected; what is not loopback is refused.
"""

import errno
import ipaddress
import sys

WILDCARD_PORTS = {0}  # an address that the system picks for a client: nobody can know it


def is_loopback(host):
    text = host.decode() if isinstance(host, bytes) else str(host)
    if text == "localhost":
        return True
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


def refuse(event, arguments):
    if event not in {"socket.bind", "socket.connect"}:
        return
    address = arguments[1]
    if not isinstance(address, tuple) or is_loopback(address[0]):
        return
    if event == "socket.bind" and address[1] in WILDCARD_PORTS:
        return
    raise OSError(errno.EACCES, f"{event} to {address[0]!r} refused: this instance stays on loopback")


sys.addaudithook(refuse)

from homeassistant.components import zeroconf as announcements  # noqa: E402
from homeassistant.__main__ import main  # noqa: E402
from zeroconf import IPVersion  # noqa: E402


def on_loopback(_hass):
    return dict(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only, unicast=True)


announcements._async_get_zc_args = on_loopback  # no public setting keeps it off the other interfaces

sys.argv[0] = "hass"
sys.exit(main())

"""The whole way against a real Keystone and a real Zun: up, status, down."""

from conftest import Testbed
from services.site import RealSite


def test_one_device_is_leased_used_and_given_back(site: RealSite, testbed: Testbed) -> None:
    up = testbed("up", "--devices", "1")
    print(up)
    status = testbed("status")
    print(status.out, status.err)
    down = testbed("down")
    print(down.out, down.err)

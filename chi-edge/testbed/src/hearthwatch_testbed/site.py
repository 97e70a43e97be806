"""CHI@Edge: the calls that reach Zun, by python-chi's clients, and their answers as values with types."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hearthwatch_testbed.containers import PLAN_LABEL, ContainerRequest
from hearthwatch_testbed.credentials import Connection
from hearthwatch_testbed.devices import Device, devices_of
from hearthwatch_testbed.problem import CONFLICT, FORBIDDEN, NOT_FOUND, answer_of, explained
from hearthwatch_testbed.reserving import ReservingSite

#: A pod whose image cannot be fetched stays "Creating"; only this tells.
PULL_FAILURES = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName")


@dataclass(frozen=True)
class Container:
    """One that exists."""

    id: str
    name: str
    status: str
    reason: str
    detail: str
    image: str
    #: What it was made from; empty for one that this program did not make.
    digest: str
    address: str | None
    port: str | None
    created: str

    @property
    def failed(self) -> bool:
        """Whether waiting does not help."""
        return self.status in ("Error", "Dead", "Deleted", "Stopped") or self.detail in PULL_FAILURES

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.status == "Running"

    def state(self) -> str:
        """For people: the status, and why."""
        why = " ".join(part for part in (self.detail, self.reason) if part)
        return f"{self.status}: {why}" if why else self.status


def container_of(raw: dict[str, Any]) -> Container:
    """From Zun's answer. The status "Error" has its reason in one field or the other."""
    addresses = [one for many in (raw.get("addresses") or {}).values() for one in many]
    first = addresses[0] if addresses else {}
    return Container(
        id=str(raw["uuid"]),
        name=str(raw.get("name")),
        status=str(raw.get("status") or "Unknown"),
        reason=str(raw.get("status_reason") or ""),
        detail=str(raw.get("status_detail") or ""),
        image=str(raw.get("image")),
        digest=str((raw.get("labels") or {}).get(PLAN_LABEL, "")),
        address=first.get("addr"),
        port=first.get("port"),
        created=str(raw.get("created_at") or ""),
    )


class Site(ReservingSite):
    """CHI@Edge. Every call that changes something stands here, or in what it extends."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        with explained("Asking Zun for its version"):
            self.zun_version = self._newest_of_zun()
            self._zun = self._zun_client(self.zun_version)

    def _newest_of_zun(self) -> str:
        """python-chi asks for what CHI@Edge has; a Zun from upstream has one version less, and answers 406 or 500."""
        wanted = str(self._clients.ZUN_API_VERSION)
        versions = [_version_tuple(wanted)]
        versions += [_version(one) for one in self._zun_client(wanted).versions.list()]
        return ".".join(str(part) for part in min(versions))

    def _zun_client(self, version: str) -> Any:
        """python-chi takes the version from a variable of its module."""
        before = self._clients.ZUN_API_VERSION
        self._clients.ZUN_API_VERSION = version
        try:
            return self._clients.zun(self._adapter)
        finally:
            self._clients.ZUN_API_VERSION = before

    def devices(self, now: datetime) -> list[Device] | None:
        """Those that exist; none where the site does not list them. The stock client has no call for the first list."""
        with explained("Listing the devices"):
            try:
                rows = self._blazar.lease.request_manager.get("/devices")[1]["devices"]
                allocations = self._blazar.allocation.list("devices")
            except Exception as error:
                if answer_of(error).status in (FORBIDDEN, NOT_FOUND):
                    return None
                raise
        return devices_of(rows, allocations, now)

    def containers(self) -> list[Container]:
        """All of the project, the oldest first."""
        with explained("Listing the containers"):
            found = [container_of(one._info) for one in self._zun.containers.list()]  # noqa: SLF001 (its only dictionary)
        return sorted(found, key=lambda one: one.created)

    def create_container(self, request: ContainerRequest) -> Container:
        """By Zun's stock client: python-chi's class always sends `device_profiles`, which that refuses."""
        with explained(f"Making the container {request.name}"):
            return container_of(self._zun.containers.create(**request.arguments())._info)  # noqa: SLF001

    def delete_container(self, container: Container) -> bool:
        """Stops and deletes. False while it is being made: then it cannot be stopped, and force is often not allowed."""
        for how in ({"stop": True}, {"force": True}):
            with explained(f"Deleting the container {container.name}"):
                try:
                    self._zun.containers.delete(container.id, **how)
                except Exception as error:
                    answer = answer_of(error)
                    if answer.status == NOT_FOUND:
                        return True
                    if answer.status not in (CONFLICT, FORBIDDEN):
                        raise
                else:
                    return True
        return False

    def logs(self, container: Container, tail: int | None = None) -> str:
        """What it printed; nothing before it has run."""
        with explained(f"Reading the log of {container.name}"):
            # Without `since` and `timestamps`: the client would send the word "None" for what is not given.
            found = self._zun.containers.logs(container.id, stdout=True, stderr=True, tail=tail or "all")
        return str(found or "")

    def snapshot(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Leases, containers and floating IPs as the site writes them, by their ids: where a dry run begins."""
        with explained("Reading what exists"):
            return (
                {one["id"]: one for one in self._blazar.lease.list()},
                {one.uuid: dict(one._info) for one in self._zun.containers.list()},  # noqa: SLF001
                {one["id"]: one for one in self._neutron.list_floatingips()["floatingips"]},
            )


def _version(one: Any) -> tuple[int, int]:
    return _version_tuple(str(one._info.get("max_version") or "1.40"))  # noqa: SLF001


def _version_tuple(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)

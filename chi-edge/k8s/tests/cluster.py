"""Questions about rendered documents: which pods, containers, volumes there are, and what they name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob")


@dataclass(frozen=True)
class Pod:
    """A pod that a document makes."""

    owner: str
    kind: str
    namespace: str
    labels: dict[str, str]
    spec: Document
    claims: tuple[str, ...] = ()
    """PersistentVolumeClaims that its owner makes, by the names of the volumes."""

    @property
    def containers(self) -> list[Document]:
        """All of them, those that run before the others too."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def lasting(self) -> list[Document]:
        """Those that run as long as the pod."""
        return [one for one in self.containers if one in self.spec["containers"] or one.get("restartPolicy") == "Always"]


def of_kind(documents: Sequence[Document], *kinds: str) -> list[Document]:
    """Those of these kinds."""
    return [document for document in documents if document["kind"] in kinds]


def namespace(document: Document) -> str:
    """Where it is."""
    return str(document["metadata"].get("namespace", ""))


def pods(documents: Sequence[Document]) -> Iterator[Pod]:
    """Every pod, those of the workflow's steps too."""
    for document in of_kind(documents, *WORKLOADS):
        spec = document["spec"]["jobTemplate"]["spec"] if document["kind"] == "CronJob" else document["spec"]
        template = spec["template"]
        claims = tuple(one["metadata"]["name"] for one in spec.get("volumeClaimTemplates", []))
        name = document["metadata"]["name"]
        yield Pod(name, document["kind"], namespace(document), template["metadata"]["labels"], template["spec"], claims)
    for document in of_kind(documents, "WorkflowTemplate"):
        spec = document["spec"]
        for template in spec["templates"]:
            if "container" in template:
                step = {key: spec[key] for key in ("securityContext", "serviceAccountName", "automountServiceAccountToken")}
                step |= {"containers": [{"name": "main"} | template["container"]], "enableServiceLinks": False}
                step["volumes"] = [*spec["volumes"], *template.get("volumes", [])]
                yield Pod(template["name"], "Workflow", namespace(document), spec["podMetadata"]["labels"], step)


def claims(documents: Sequence[Document]) -> set[tuple[str, str]]:
    """Every PersistentVolumeClaim there will be: namespace and name."""
    made = {(namespace(one), one["metadata"]["name"]) for one in of_kind(documents, "PersistentVolumeClaim")}
    for document in of_kind(documents, "StatefulSet"):
        for template in document["spec"].get("volumeClaimTemplates", []):
            for number in range(document["spec"]["replicas"]):
                made.add((namespace(document), f"{template['metadata']['name']}-{document['metadata']['name']}-{number}"))
    return made


@dataclass(frozen=True)
class Named:
    """A ConfigMap or Secret that a pod names, with the keys that it takes; none for all."""

    kind: str
    name: str
    keys: tuple[str, ...]


def named(pod: Pod) -> Iterator[Named]:
    """Every ConfigMap and Secret that a pod names."""

    def keys(source: Document) -> tuple[str, ...]:
        return tuple(item["key"] for item in source.get("items", []))

    for volume in pod.spec.get("volumes", []):
        for source in [volume, *volume.get("projected", {}).get("sources", [])]:
            if "configMap" in source:
                yield Named("ConfigMap", source["configMap"]["name"], keys(source["configMap"]))
            if "secret" in source:
                yield Named("Secret", source["secret"].get("secretName") or source["secret"]["name"], keys(source["secret"]))
    for container in pod.containers:
        for source in container.get("envFrom", []):
            yield Named("ConfigMap", source["configMapRef"]["name"], ())


def matches(selector: Document | None, labels: dict[str, str]) -> bool:
    """Whether a selector takes these labels. We use `matchLabels` alone."""
    if selector is None:
        return False
    assert set(selector) <= {"matchLabels"}, f"{selector} is more than these tests understand"
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())

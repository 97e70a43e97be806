"""Rules about who may speak to whom."""

from collections.abc import Sequence

from cluster import Document, Pod, matches, namespace, of_kind, pods
from conftest import documents

OTHERS = {53: "names", 443: "Alertmanager's webhook", 6443: "Kubernetes' own API"}
"""Ports of what is not in the tree."""

NEEDED = {
    ("aggregator", "broker", 8883),
    ("blackbox", "aggregator", 8443),
    ("blackbox", "broker", 8883),
    ("grafana", "prometheus", 9090),
    ("prometheus", "aggregator", 8443),
    ("prometheus", "alertmanager", 9093),
    ("prometheus", "blackbox", 9115),
    ("prometheus", "prometheus", 9090),
}
"""Every way within the overlay `cpu`, and no other."""


def test_nothing_is_allowed_in_any_namespace_unless_a_rule_says_so() -> None:
    for folder in ("overlays/cpu", "overlays/gpu", "overlays/course"):
        for one in of_kind(documents(folder), "Namespace"):
            (deny,) = [
                policy
                for policy in of_kind(documents(folder), "NetworkPolicy")
                if namespace(policy) == one["metadata"]["name"] and policy["metadata"]["name"] == "default-deny"
            ]
            assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_the_namespace_of_the_fleet_admits_restricted_pods_only() -> None:
    for folder in ("overlays/cpu", "overlays/gpu", "overlays/course"):
        (one,) = [one for one in of_kind(documents(folder), "Namespace") if one["metadata"]["name"] == "hearthwatch"]
        assert one["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def ports_of(pod: Pod) -> set[int]:
    return {port["containerPort"] for container in pod.containers for port in container.get("ports", [])}


def peers(rule: Document, key: str, home: str, there: Sequence[Pod]) -> list[Pod] | None:
    """The pods that a rule names; none for everybody, or for a namespace that is not in the tree."""
    if key not in rule:
        return None
    found: list[Pod] = []
    for peer in rule[key]:
        spaces = peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name", home)
        if spaces == "kube-system":
            return None
        found += [pod for pod in there if pod.namespace == spaces and matches(peer["podSelector"], pod.labels)]
    assert found, f"{rule} takes no pod"
    return found


def test_every_rule_takes_pods_and_names_ports_that_they_have(folder: str) -> None:
    there = [*pods(documents(folder)), *(pods(documents("overlays/cpu")) if folder == "argo" else [])]
    for policy in of_kind(documents(folder), "NetworkPolicy"):
        spec, home = policy["spec"], namespace(policy)
        if not spec["podSelector"]:
            continue
        own = [pod for pod in there if pod.namespace == home and matches(spec["podSelector"], pod.labels)]
        assert own, policy["metadata"]["name"]
        for rule in spec.get("ingress", []):
            peers(rule, "from", home, there)
            for port in rule["ports"]:
                assert port["port"] in set().union(*map(ports_of, own)), policy["metadata"]["name"]
        for rule in spec.get("egress", []):
            others = peers(rule, "to", home, there)
            for port in rule["ports"]:
                allowed = set(OTHERS) if others is None else set().union(*map(ports_of, others))
                assert port["port"] in allowed, f"{policy['metadata']['name']}: {port}"


def ways(folder: str) -> set[tuple[str, str, int]]:
    """Who may speak to whom by both rules, that of the one who calls and that of the one who is called."""
    there = list(pods(documents(folder)))
    rules = [one for one in of_kind(documents(folder), "NetworkPolicy") if one["spec"]["podSelector"]]

    def allows(pod: Pod, other: Pod, port: int, kind: str, key: str) -> bool:
        for policy in rules:
            if namespace(policy) != pod.namespace or not matches(policy["spec"]["podSelector"], pod.labels):
                continue
            for rule in policy["spec"].get(kind, []):
                named = peers(rule, key, pod.namespace, there)
                # A rule for everybody on a port of another's is not meant for pods: it is judged by its port.
                if port in {one["port"] for one in rule["ports"]} and (named is None or other in named):
                    return True
        return False

    return {
        (one.owner, other.owner, port)
        for one in there
        for other in there
        for port in ports_of(other)
        if allows(one, other, port, "egress", "to") and allows(other, one, port, "ingress", "from")
    }


def test_the_ways_are_those_that_are_needed_and_no_other() -> None:
    assert ways("overlays/cpu") == NEEDED
    assert ways("overlays/gpu") == NEEDED
    assert ways("overlays/course") == NEEDED | {("aggregator", "mlflow", 5000), ("prometheus", "node", 9100)}


def test_every_target_of_prometheus_is_a_service_with_that_port() -> None:
    import yaml

    services = {one["metadata"]["name"]: one["spec"] for one in of_kind(documents("overlays/course"), "Service") if namespace(one) == "hearthwatch"}
    (targets,) = [one for one in of_kind(documents("overlays/course"), "ConfigMap") if one["metadata"]["name"].startswith("prometheus-targets-")]
    for text in targets["data"].values():
        for group in yaml.safe_load(text):
            for address in [*group["targets"], *([group["labels"]["prober"]] if "prober" in group.get("labels", {}) else [])]:
                name, port = address.rsplit(":", 1)
                if "externalName" not in services[name]:
                    assert int(port) in {one["port"] for one in services[name]["ports"]}

"""Rules about pods, each for every pod of every folder: the level `restricted` of Kubernetes, and more."""

import re
from collections.abc import Sequence

import pytest
from cluster import Document, Pod, claims, matches, named, namespace, of_kind, pods
from conftest import K8S, documents

FROM_OUTSIDE = {
    ("Secret", "aggregator-keys"): "secrets.sh",
    ("Secret", "signer-keys"): "secrets.sh",
    ("Secret", "alertmanager-webhook"): "secrets.sh",
    ("Secret", "grafana-admin"): "secrets.sh",
    ("ConfigMap", "fleet-ca"): "secrets.sh",
    ("ConfigMap", "fleet-metadata"): "secrets.sh",
    ("Secret", "retrain-token"): "docs/kubernetes.md, where the pipeline is set up",
}
"""What pods name and no folder holds, with where it comes from. Nothing else may be missing."""

WITHOUT_PROBES = {
    "main": "a step of the workflow: it ends",
    "backup": "it ends",
}
"""Containers that nobody can or need ask."""

ALLOWED_VOLUMES = {"configMap", "secret", "projected", "emptyDir", "persistentVolumeClaim"}


@pytest.fixture
def every(rendered: tuple[Document, ...]) -> list[Pod]:
    found = list(pods(rendered))
    assert found
    return found


def test_every_pod_runs_as_a_user_without_rights_and_with_the_default_filter_of_calls(every: list[Pod]) -> None:
    for pod in every:
        context = pod.spec["securityContext"]
        assert context["runAsNonRoot"] is True, pod.owner
        assert context["runAsUser"] >= 400, pod.owner
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, pod.owner
        for setting in ("hostNetwork", "hostPID", "hostIPC"):
            assert setting not in pod.spec, pod.owner


def test_every_container_is_closed(every: list[Pod]) -> None:
    expected = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    for pod in every:
        for container in pod.containers:
            context = {key: value for key, value in container["securityContext"].items() if key != "runAsUser"}
            assert context == expected, f"{pod.owner}/{container['name']}"


def test_only_the_signers_user_has_its_volume(every: list[Pod]) -> None:
    users = {
        (pod.owner, container["name"]): container["securityContext"].get("runAsUser", pod.spec["securityContext"]["runAsUser"])
        for pod in every
        for container in pod.containers
        if any(mount["name"] == "signer" for mount in container["volumeMounts"])
    }
    owners = {pod.owner for pod in every}
    wanted = [("aggregator", "signer-keys"), ("aggregator", "signer"), ("backup", "signer-state")]
    assert users == {one: 10002 for one in wanted if one[0] in owners}
    others = {pod.spec["securityContext"]["runAsUser"] for pod in every}
    assert 10002 not in others


def test_every_container_says_what_it_needs_and_at_most_takes(every: list[Pod]) -> None:
    for pod in every:
        for container in pod.containers:
            resources = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys(), f"{pod.owner}/{container['name']}"
            assert {"cpu", "memory"} <= resources["limits"].keys(), f"{pod.owner}/{container['name']}"


def test_every_container_that_lasts_is_asked_how_it_does(every: list[Pod]) -> None:
    for pod in every:
        for container in pod.lasting:
            if container["name"] not in WITHOUT_PROBES:
                assert {"startupProbe", "livenessProbe"} <= container.keys(), f"{pod.owner}/{container['name']}"
        for container in pod.spec["containers"]:
            if container["name"] not in WITHOUT_PROBES:
                assert "readinessProbe" in container, f"{pod.owner}/{container['name']}"


def test_no_pod_gets_a_token_of_the_cluster_or_the_names_of_services(every: list[Pod]) -> None:
    for pod in every:
        assert pod.spec["automountServiceAccountToken"] is False, pod.owner
        assert pod.spec["enableServiceLinks"] is False, pod.owner


def test_volumes_are_of_the_kinds_that_restricted_allows(every: list[Pod]) -> None:
    for pod in every:
        for volume in pod.spec.get("volumes", []):
            kinds = volume.keys() - {"name"}
            if pod.namespace == "hearthwatch-node":
                assert kinds == {"hostPath"}
                (mount,) = [one for container in pod.containers for one in container["volumeMounts"]]
                assert mount["readOnly"] is True
            else:
                assert kinds <= ALLOWED_VOLUMES, f"{pod.owner}: {volume['name']}"


def test_every_mount_names_a_volume_and_every_volume_is_mounted(every: list[Pod]) -> None:
    for pod in every:
        there = {volume["name"] for volume in pod.spec.get("volumes", [])} | set(pod.claims)
        mounted = {mount["name"] for container in pod.containers for mount in container.get("volumeMounts", [])}
        assert mounted == there, pod.owner


def test_every_port_of_a_probe_is_one_of_the_container(every: list[Pod]) -> None:
    for pod in every:
        for container in pod.containers:
            ports = {port["name"] for port in container.get("ports", [])}
            for probe in (container.get(f"{kind}Probe", {}) for kind in ("startup", "liveness", "readiness")):
                for way in ("httpGet", "tcpSocket"):
                    if way in probe:
                        assert probe[way]["port"] in ports, f"{pod.owner}/{container['name']}"


def whole(folder: str) -> Sequence[Document]:
    """The workflow's pods need an overlay beside them."""
    return [*documents(folder), *documents("overlays/cpu")] if folder == "argo" else documents(folder)


def test_every_config_map_and_secret_that_a_pod_names_is_there_with_its_keys(folder: str) -> None:
    there = {(one["kind"], one["metadata"]["name"]): one for one in of_kind(whole(folder), "ConfigMap", "Secret")}
    for pod in pods(documents(folder)):
        for one in named(pod):
            if (one.kind, one.name) in FROM_OUTSIDE:
                continue
            assert (one.kind, one.name) in there, f"{pod.owner} names {one.kind} {one.name}"
            assert set(one.keys) <= there[one.kind, one.name]["data"].keys(), f"{pod.owner}: keys of {one.name}"


def test_every_claim_that_a_pod_names_is_made(folder: str) -> None:
    made = claims(whole(folder))
    for pod in pods(documents(folder)):
        for volume in pod.spec.get("volumes", []):
            if "persistentVolumeClaim" in volume:
                assert (pod.namespace, volume["persistentVolumeClaim"]["claimName"]) in made, pod.owner


def test_every_service_account_is_there_and_has_no_token(folder: str, every: list[Pod]) -> None:
    accounts = {(namespace(one), one["metadata"]["name"]): one for one in of_kind(documents(folder), "ServiceAccount")}
    for pod in every:
        assert accounts[pod.namespace, pod.spec["serviceAccountName"]]["automountServiceAccountToken"] is False, pod.owner
    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())


def test_no_secret_in_the_tree_has_content(rendered: tuple[Document, ...]) -> None:
    for secret in of_kind(rendered, "Secret"):
        assert not {"data", "stringData"} & secret.keys(), secret["metadata"]["name"]
    text = "\n".join(path.read_text(errors="replace") for path in K8S.rglob("*") if path.is_file() and "tests" not in path.parts)
    assert "PRIVATE KEY" not in text


def test_every_image_is_pinned_by_digest_except_what_was_imported(folder: str, every: list[Pod]) -> None:
    for pod in every:
        for container in pod.containers:
            image = container["image"]
            if container.get("imagePullPolicy") == "Never":
                assert folder == "overlays/course"
                assert re.fullmatch(r"docker\.io/library/hearthwatch-(aggregator|provision):\d+\.\d+\.\d+-amd64", image)
            else:
                assert re.fullmatch(r"[a-z0-9.]+/[a-z0-9./-]+@sha256:[0-9a-f]{64}", image), f"{pod.owner}: {image}"


def test_no_file_of_a_volume_is_opened_to_a_group_at_a_start(every: list[Pod]) -> None:
    """The programs refuse keys that others can read, and Always would add the group to each file."""
    for pod in every:
        context = pod.spec["securityContext"]
        if pod.kind != "Workflow" and "fsGroup" in context:
            assert context["fsGroupChangePolicy"] == "OnRootMismatch", pod.owner


def test_selectors_of_services_budgets_and_workloads_take_pods(folder: str) -> None:
    there = list(pods(documents(folder)))
    for document in of_kind(documents(folder), "Service", "PodDisruptionBudget", "Deployment", "StatefulSet", "DaemonSet"):
        selector = document["spec"].get("selector")
        if document["kind"] == "Service":
            if document["spec"].get("type") == "ExternalName":
                continue
            selector = {"matchLabels": selector}
        taken = [pod for pod in there if pod.namespace == namespace(document) and matches(selector, pod.labels)]
        assert len(taken) == 1, f"{document['kind']} {document['metadata']['name']} takes {[pod.owner for pod in taken]}"
        if document["kind"] == "Service":
            ports = {port["name"] for container in taken[0].containers for port in container.get("ports", [])}
            assert {port["targetPort"] for port in document["spec"]["ports"]} <= ports, document["metadata"]["name"]


def test_every_pod_that_lasts_has_a_budget_that_lets_a_node_be_drained(folder: str) -> None:
    budgets = of_kind(documents(folder), "PodDisruptionBudget")
    for pod in pods(documents(folder)):
        if pod.kind in ("Deployment", "StatefulSet"):
            (budget,) = [one for one in budgets if namespace(one) == pod.namespace and matches(one["spec"]["selector"], pod.labels)]
            assert budget["spec"]["maxUnavailable"] == 1, pod.owner


def aggregator(folder: str) -> Pod:
    return next(pod for pod in pods(documents(folder)) if pod.owner == "aggregator")


@pytest.mark.parametrize("folder", ["overlays/cpu", "overlays/gpu", "overlays/course"])
def test_the_signing_key_is_mounted_where_the_aggregator_is_not(folder: str) -> None:
    for pod in pods(documents(folder)):
        secrets = {volume["name"] for volume in pod.spec.get("volumes", []) if volume.get("secret", {}).get("secretName") == "signer-keys"}
        if pod.owner == "aggregator":
            holders = {container["name"] for container in pod.containers for mount in container["volumeMounts"] if mount["name"] in secrets | {"signer"}}
            assert holders == {"signer-keys", "signer"}
            assert pod.spec["shareProcessNamespace"] is False
            shared = set.intersection(*({mount["name"] for mount in one["volumeMounts"]} for one in pod.containers if one["name"] in ("signer", "aggregator")))
            assert shared == {"socket"}
        else:
            assert not secrets, pod.owner
            for container in pod.containers:
                for mount in container.get("volumeMounts", []):
                    if mount["name"] == "signer":
                        assert mount["subPath"] == "keys/state.json", "a single file, which is no key"
                        assert mount["readOnly"] is True


@pytest.mark.parametrize("folder", ["overlays/cpu", "overlays/gpu", "overlays/course"])
def test_containers_start_in_the_order_in_which_they_need_each_other(folder: str) -> None:
    """An overlay that merges into the list changes its order."""
    assert [one["name"] for one in aggregator(folder).containers] == ["keys", "provision", "signer-keys", "signer", "aggregator"]
    broker = next(pod for pod in pods(documents(folder)) if pod.owner == "broker")
    assert [one["name"] for one in broker.containers] == ["wait", "reload", "broker"]


def test_there_is_one_aggregator_and_one_broker(rendered: tuple[Document, ...]) -> None:
    for document in of_kind(rendered, "StatefulSet", "Deployment"):
        assert document["spec"]["replicas"] == 1, document["metadata"]["name"]


@pytest.mark.parametrize("folder", ["overlays/cpu", "overlays/gpu", "overlays/course"])
def test_a_second_aggregator_is_refused_by_the_cluster(folder: str) -> None:
    (rule,) = of_kind(documents(folder), "ValidatingAdmissionPolicy")
    (binding,) = of_kind(documents(folder), "ValidatingAdmissionPolicyBinding")
    assert binding["spec"] == {"policyName": rule["metadata"]["name"], "validationActions": ["Deny"]}
    (validation,) = rule["spec"]["validations"]
    assert validation["expression"].startswith("object.metadata.name != 'aggregator' || ")


def test_the_gpu_is_asked_for_and_used() -> None:
    pod = aggregator("overlays/gpu")
    (container,) = pod.spec["containers"]
    assert pod.spec["runtimeClassName"] == "nvidia"
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "1", "cpu": "4", "memory": "4Gi"}
    assert container["image"].startswith("ghcr.io/hearthwatch/aggregator-cuda@")
    (fleet,) = [one for one in of_kind(documents("overlays/gpu"), "ConfigMap") if one["metadata"]["name"].startswith("fleet-")]
    assert fleet["data"]["TRAINING_DEVICE"] == "cuda"
    assert "nvidia.com/gpu" not in str(aggregator("overlays/cpu").spec)

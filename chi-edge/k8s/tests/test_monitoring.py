"""The files of chi-edge/monitoring reach Prometheus and Grafana whole."""

import yaml
from cluster import of_kind, pods
from conftest import K8S, documents

MONITORING = K8S.parent / "monitoring"


def test_no_file_of_the_monitoring_is_left_out() -> None:
    listed = set()
    for one in yaml.safe_load((MONITORING / "kustomization.yaml").read_text())["configMapGenerator"]:
        listed |= {name.rpartition("=")[2] for name in one["files"]}
    there = set()
    for pattern in ("prometheus/*.yml", "prometheus/rules/*", "prometheus/targets/*", "alertmanager/*.yml", "blackbox/*", "grafana/**/*.*"):
        there |= {str(path.relative_to(MONITORING)) for path in MONITORING.glob(pattern)}
    assert listed == there


def test_prometheus_finds_its_folder_as_in_the_tree() -> None:
    (pod,) = [pod for pod in pods(documents("overlays/cpu")) if pod.owner == "prometheus"]
    (config,) = [volume for volume in pod.spec["volumes"] if volume["name"] == "config"]
    mounted = set()
    maps = {one["metadata"]["name"]: one["data"] for one in of_kind(documents("overlays/cpu"), "ConfigMap")}
    for source in config["projected"]["sources"]:
        one = source["configMap"]
        mounted |= {item["path"] for item in one["items"]} if "items" in one else set(maps[one["name"]])
    folder = MONITORING / "prometheus"
    expected = {str(path.relative_to(folder)) for pattern in ("*.yml", "rules/*", "targets/*") for path in folder.glob(pattern)}
    assert mounted == expected | {"tls/ca.crt"}


def test_a_config_map_is_small_enough_to_be_applied() -> None:
    """256 KiB is what an annotation holds, and `kubectl apply` keeps the whole in one."""
    for one in of_kind(documents("overlays/course"), "ConfigMap"):
        assert sum(map(len, one["data"].values())) < 256 * 1024, one["metadata"]["name"]

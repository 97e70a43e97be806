"""The files of chi-edge/monitoring reach Prometheus and Grafana whole."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
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


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is missing; Prometheus's folder was not read by its own program")
def test_prometheus_can_read_the_folder_that_it_gets(tmp_path: Path) -> None:
    (pod,) = [pod for pod in pods(documents("overlays/cpu")) if pod.owner == "prometheus"]
    (config,) = [volume for volume in pod.spec["volumes"] if volume["name"] == "config"]
    maps = {one["metadata"]["name"]: one["data"] for one in of_kind(documents("overlays/cpu"), "ConfigMap")} | {"fleet-ca": {"ca.crt": ""}}
    for source in config["projected"]["sources"]:
        data = maps[source["configMap"]["name"]]
        for item in source["configMap"].get("items", [{"key": key, "path": key} for key in data]):
            (tmp_path / item["path"]).parent.mkdir(exist_ok=True)
            (tmp_path / item["path"]).write_text(data[item["key"]])
    done = subprocess.run(["promtool", "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("rules found") == len(list((MONITORING / "prometheus/rules").iterdir()))


@pytest.mark.skipif(not shutil.which("amtool"), reason="amtool is missing; Alertmanager's file was not read by its own program")
def test_alertmanager_can_read_the_file_that_it_gets(tmp_path: Path) -> None:
    (tmp_path / "address").write_text("https://hooks.example/a")
    script: list[str | Path] = [sys.executable, "-I", K8S / "scripts/webhook.py", "--config", MONITORING / "alertmanager/alertmanager.yml"]
    subprocess.run([*script, "--address", tmp_path / "address", "--to", tmp_path / "out.yml"], check=True)
    done = subprocess.run(["amtool", "check-config", tmp_path / "out.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""What docs/kubernetes.md tells people to type."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import yaml
from cluster import of_kind
from conftest import K8S, kustomize

ROOT = K8S.parents[1]
PAGE = (ROOT / "docs/kubernetes.md").read_text()


def commands() -> list[str]:
    return [word.replace("\\|", "|") for word in re.findall(r"`([^`\n]+)`", PAGE)]


def test_every_path_that_it_names_is_there() -> None:
    named = set(re.findall(r"chi-edge/[a-z0-9./-]+[a-z0-9]", PAGE))
    assert len(named) > 5
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_its_command_for_the_name_of_the_fleet_sets_the_name(tmp_path: Path) -> None:
    copy = tmp_path / "chi-edge"
    shutil.copytree(K8S, copy / "k8s", ignore=shutil.ignore_patterns("tests"))
    shutil.copytree(K8S.parent / "monitoring", copy / "monitoring")
    (command,) = [word for word in commands() if word.startswith("sed -i")]
    subprocess.run(shlex.split(command.replace("fleet.example", "edge.example")), check=True, cwd=tmp_path)
    rendered = [one for one in yaml.safe_load_all(kustomize(copy / "k8s/overlays/course")) if one]
    (fleet,) = [one for one in of_kind(rendered, "ConfigMap") if one["metadata"]["name"].startswith("fleet-")]
    assert fleet["data"]["FLEET_HOST"] == "edge.example"


def test_the_overlay_for_a_gpu_node_that_it_describes_can_be_rendered(tmp_path: Path) -> None:
    copy = tmp_path / "chi-edge"
    shutil.copytree(K8S, copy / "k8s", ignore=shutil.ignore_patterns("tests"))
    shutil.copytree(K8S.parent / "monitoring", copy / "monitoring")
    file = copy / "k8s/overlays/course/kustomization.yaml"
    file.write_text(file.read_text().replace("  - ../../components/images\n", "  - ../../components/gpu\n  - ../../components/images\n"))
    rendered = [one for one in yaml.safe_load_all(kustomize(file.parent)) if one]
    (aggregator,) = [one for one in of_kind(rendered, "StatefulSet") if one["metadata"]["name"] == "aggregator"]
    (container,) = aggregator["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["image"] == "docker.io/library/hearthwatch-aggregator-cuda:0.1.0-amd64"

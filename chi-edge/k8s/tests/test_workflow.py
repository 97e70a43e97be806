"""What Argo's schema does not see: that the workflow's parts name each other rightly, and fit the programs that they start."""

import re
import subprocess
import sys
from typing import Any

import pytest
from cluster import Document, of_kind
from conftest import K8S, documents

ALWAYS = {"workflow.name", "workflow.creationTimestamp.s", "workflow.parameters.url", "workflow.parameters.promote"}
"""What Argo, or the workflow's own arguments, fill in everywhere."""


def template() -> Document:
    (found,) = of_kind(documents("argo"), "WorkflowTemplate")
    return found


def templates() -> dict[str, Document]:
    return {one["name"]: one for one in template()["spec"]["templates"]}


def references(value: object) -> set[str]:
    return set(re.findall(r"\{\{([^}]+)\}\}", str(value)))


def outputs(name: str) -> set[str]:
    return {one["name"] for one in templates()[name].get("outputs", {}).get("parameters", [])}


def test_every_step_names_a_template_gives_what_it_takes_and_uses_what_is_there() -> None:
    for name, one in templates().items():
        known = ALWAYS | {f"inputs.parameters.{parameter['name']}" for parameter in one.get("inputs", {}).get("parameters", [])}
        for group in one.get("steps", []):
            for step in group:
                assert references(step) <= known, f"{name}/{step['name']}"
                takes = {parameter["name"] for parameter in templates()[step["template"]].get("inputs", {}).get("parameters", [])}
                gives = {parameter["name"] for parameter in step.get("arguments", {}).get("parameters", [])}
                assert takes == gives, f"{name}/{step['name']}"
            for step in group:
                known.add(f"steps.{step['name']}.status")
                if "when" not in step and "continueOn" not in step:
                    # Only of steps that must have succeeded: Argo leaves the others' outputs as they are written.
                    known |= {f"steps.{step['name']}.outputs.parameters.{output}" for output in outputs(step["template"])}
        assert references(one.get("container", {})) <= known, name


def test_every_template_is_used() -> None:
    used = {step["template"] for one in templates().values() for group in one.get("steps", []) for step in group}
    assert used | {template()["spec"]["entrypoint"]} == templates().keys()


def test_every_step_has_a_deadline_and_tries_again_only_for_what_passes() -> None:
    for name, one in templates().items():
        if "container" in one:
            assert one["activeDeadlineSeconds"] <= template()["spec"]["activeDeadlineSeconds"], name
            again = one["retryStrategy"]
            assert again["expression"] == "lastRetry.status == 'Error' || asInt(lastRetry.exitCode) == 75", name
            assert int(again["limit"]) > 0, name


def command(one: Document) -> list[str]:
    """As Argo would start it, with numbers and words in the place of what it fills in."""
    fill: dict[str, Any] = {"inputs.parameters.version": "4", "workflow.creationTimestamp.s": "1000000", "workflow.parameters.promote": "wait"}
    return [re.sub(r"\{\{([^}]+)\}\}", lambda found: fill.get(found[1], "x"), word) for word in one["container"]["args"]]


@pytest.mark.parametrize("name", ["retrain", "gate", "sign", "canary", "promote", "undo"])
def test_every_step_has_the_arguments_that_its_program_takes(name: str) -> None:
    program = [sys.executable, "-I", str(K8S / "argo/steps/pipeline.py")]
    done = subprocess.run([*program, *command(templates()[name])], capture_output=True, text=True, check=False, env={})
    assert (done.returncode, done.stderr) == (1, ""), done.stderr
    assert done.stdout == f"{name}: HEARTHWATCH_URL is not set: the workflow's template sets it\n"


def test_what_the_executor_may_do_is_to_report() -> None:
    (role,) = of_kind(documents("argo"), "Role")
    assert role["rules"] == [{"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}]
    (binding,) = of_kind(documents("argo"), "RoleBinding")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "retrain-executor", "namespace": "hearthwatch"}]
    assert template()["spec"]["executor"]["serviceAccountName"] == "retrain-executor"


def test_argos_own_containers_are_closed_too() -> None:
    import yaml

    patch = yaml.safe_load(template()["spec"]["podSpecPatch"])
    for one in [*patch["initContainers"], *patch["containers"]]:
        assert one["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def test_the_schedule_starts_this_workflow_and_never_two_at_a_time() -> None:
    (cron,) = of_kind(documents("argo"), "CronWorkflow")
    assert cron["spec"]["workflowSpec"]["workflowTemplateRef"]["name"] == template()["metadata"]["name"]
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"

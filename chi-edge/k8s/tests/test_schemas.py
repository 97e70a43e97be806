"""Every document against the schemas that Kubernetes and Argo publish."""

import copy
import functools

import kubernetes_validate
import pytest
from cluster import Document
from conftest import documents
from hera.workflows.models import CronWorkflow, WorkflowTemplate
from pydantic import BaseModel, ValidationError

VERSIONS = ("1.30", "1.33", "1.37")
"""The oldest that has all we use (native sidecars without a switch, and budgets' unhealthyPodEvictionPolicy), one between, the newest
that has schemas."""

# It reads its definitions, some megabytes, anew for each document.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)

ARGO: dict[str, type[BaseModel]] = {"WorkflowTemplate": WorkflowTemplate, "CronWorkflow": CronWorkflow}


def check(document: Document, version: str) -> None:
    """Raises what is wrong with it."""
    if document["apiVersion"].startswith("argoproj.io/"):
        # by_name=False: names as they stand in YAML, and not those of Python.
        ARGO[document["kind"]].model_validate(document, extra="forbid", by_alias=True, by_name=False)
    else:
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_document_is_valid(rendered: tuple[Document, ...], version: str) -> None:
    for document in rendered:
        check(document, version)


def changed(folder: str, kind: str, name: str) -> Document:
    """A document of the tree, to be spoilt."""
    return copy.deepcopy(next(one for one in documents(folder) if (one["kind"], one["metadata"]["name"]) == (kind, name)))


def test_a_field_of_a_wrong_name_is_found() -> None:
    spoilt = changed("overlays/cpu", "StatefulSet", "aggregator")
    spoilt["spec"]["template"]["spec"]["containers"][0]["livenessprobe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="'livenessprobe' was unexpected"):
        check(spoilt, "1.33")


def test_a_value_of_a_wrong_type_is_found() -> None:
    spoilt = changed("overlays/cpu", "StatefulSet", "aggregator")
    spoilt["spec"]["replicas"] = "one"
    with pytest.raises(kubernetes_validate.ValidationError, match="'one' is not of type 'integer'"):
        check(spoilt, "1.33")


def test_a_wrong_field_of_a_network_policy_is_found() -> None:
    spoilt = changed("overlays/cpu", "NetworkPolicy", "broker")
    spoilt["spec"]["ingress"][0]["port"] = 8883
    with pytest.raises(kubernetes_validate.ValidationError, match="'port' was unexpected"):
        check(spoilt, "1.33")


def test_a_field_that_argo_does_not_have_is_found() -> None:
    spoilt = changed("argo", "WorkflowTemplate", "retrain")
    spoilt["spec"]["templates"][2]["retry_strategy"] = {}
    spoilt["spec"]["templates"][2]["retryStrategie"] = {}
    with pytest.raises(ValidationError) as found:
        check(spoilt, "1.33")
    assert [error["type"] for error in found.value.errors()] == ["extra_forbidden", "extra_forbidden"]


def test_a_kind_without_a_schema_is_no_pass() -> None:
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        check({"apiVersion": "apps/v1", "kind": "Elephant", "metadata": {"name": "x"}}, "1.33")

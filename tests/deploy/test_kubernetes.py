"""deploy/kubernetes: valid by Kubernetes' own schemas, and the parts fit together."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from nebuloviz.cli import _parser
from tests.deploy.files import DEPLOY, documents, unknown_settings

FOLDER = DEPLOY / "kubernetes"
VERSIONS = ("1.31", "1.37")  # the oldest and the newest that the manifests are for
[KUSTOMIZATION] = documents(FOLDER / "kustomization.yaml")
OBJECTS: list[dict[str, Any]] = [
    document
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for document in documents(path)
]
WORKLOADS = [found for found in OBJECTS if found["kind"] in {"Deployment", "Job"}]
COMPONENTS = {"migrate", "web", "ingest"}


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [found for found in OBJECTS if found["kind"] == kind]


def name(found: dict[str, Any]) -> str:
    return f"{found['kind']}-{found['metadata']['name']}"


def pod_labels(workload: dict[str, Any]) -> dict[str, str]:
    """What Prometheus is told of a pod before it relabels."""
    about = workload["spec"]["template"]["metadata"]
    told = {"namespace": KUSTOMIZATION["namespace"], "pod_name": f"{workload['metadata']['name']}-1"}
    for kind in ("labels", "annotations"):
        for key, value in about.get(kind, {}).items():
            told[f"pod_{kind[:-1]}_{re.sub('[^a-zA-Z0-9_]', '_', key)}"] = value
    return {f"__meta_kubernetes_{key}": value for key, value in told.items()}


def relabelled(labels: dict[str, str], rules: list[dict[str, Any]]) -> dict[str, str] | None:
    """As Prometheus does it; None for what is not kept."""
    found = dict(labels)
    for rule in rules:
        value = ";".join(found.get(name, "") for name in rule["source_labels"])
        matches = re.fullmatch(rule.get("regex", ".*"), value)
        if rule.get("action") == "keep":
            if not matches:
                return None
        elif matches:
            found[rule["target_label"]] = rule.get("replacement", value)
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("found", OBJECTS, ids=name)
def test_follows_the_schema(found: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(found, version, strict=True)


def test_all_are_applied_but_what_is_the_adapters() -> None:
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml", "metrics-adapter.yaml"}
    assert set(KUSTOMIZATION["resources"]) == files


@pytest.mark.parametrize("workload", WORKLOADS, ids=name)
class TestEveryWorkload:
    def container(self, workload: dict[str, Any]) -> dict[str, Any]:
        [container] = workload["spec"]["template"]["spec"]["containers"]
        return dict(container)

    def test_meets_the_restricted_standard(self, workload: dict[str, Any]) -> None:
        pod, container = workload["spec"]["template"]["spec"], self.container(workload)
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }

    def test_runs_as_the_user_of_the_image(self, workload: dict[str, Any]) -> None:
        assert workload["spec"]["template"]["spec"]["securityContext"]["runAsUser"] == 10001

    def test_has_requests_limits_and_room_to_write(self, workload: dict[str, Any]) -> None:
        container = self.container(workload)
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        volumes = {volume["name"] for volume in workload["spec"]["template"]["spec"]["volumes"]}
        assert {mount["mountPath"]: mount["name"] in volumes for mount in container["volumeMounts"]} == {
            "/data": True,
            "/tmp": True,
        }

    def test_runs_a_command_that_there_is(self, workload: dict[str, Any]) -> None:
        assert _parser().parse_args(self.container(workload).get("args", ["serve"])).command

    def test_is_asked_for_its_health_at_a_port_that_it_has(self, workload: dict[str, Any]) -> None:
        container = self.container(workload)
        ports = {port["name"] for port in container.get("ports", [])}
        probes = {word: probe["httpGet"] for word, probe in container.items() if word.endswith("Probe")}
        assert all(probe["port"] in ports for probe in probes.values())
        if workload["kind"] == "Deployment":
            paths = {word: probe["path"] for word, probe in probes.items()}
            assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
        else:
            assert not probes

    def test_is_given_settings_that_there_are(self, workload: dict[str, Any]) -> None:
        [settings] = [found for found in of_kind("ConfigMap") if found["metadata"]["name"] == "nebuloviz"]
        own = {variable["name"]: variable["value"] for variable in self.container(workload).get("env", [])}
        assert not unknown_settings({**settings["data"], **own})
        assert all(isinstance(value, str) for value in settings["data"].values())


class TestTheParts:
    def test_select_the_pods_that_there_are(self) -> None:
        pods = [workload["spec"]["template"]["metadata"]["labels"] for workload in WORKLOADS]
        selectors = [found["spec"]["selector"]["matchLabels"] for found in of_kind("PodDisruptionBudget")]
        selectors += [selector for found in of_kind("Service") if (selector := found["spec"].get("selector"))]
        selectors += [found["spec"]["podSelector"]["matchLabels"] for found in of_kind("NetworkPolicy")]
        assert {pod["app.kubernetes.io/component"] for pod in pods} == COMPONENTS
        for selector in selectors:
            assert any(selector.items() <= pod.items() for pod in pods)

    def test_keep_some_of_what_serves_and_ingests_alive(self) -> None:
        deployments = {found["metadata"]["name"] for found in of_kind("Deployment")}
        assert {found["metadata"]["name"] for found in of_kind("PodDisruptionBudget")} == deployments
        assert {found["spec"]["scaleTargetRef"]["name"] for found in of_kind("HorizontalPodAutoscaler")} == deployments

    def test_grow_by_lag_to_no_more_than_the_topic_has_partitions(self) -> None:
        [scaler] = [f for f in of_kind("HorizontalPodAutoscaler") if f["metadata"]["name"] == "nebuloviz-ingest"]
        [metric] = scaler["spec"]["metrics"]
        asked = metric["external"]["metric"]["name"]
        adapter = (FOLDER / "metrics-adapter.yaml").read_text(encoding="utf-8")
        compose = Path(DEPLOY / "compose.yaml").read_text(encoding="utf-8")
        assert f"'{asked}{{" in adapter
        assert f"--partitions {scaler['spec']['maxReplicas']}" in compose

    def test_are_seen_by_prometheus_as_its_rules_and_the_adapter_ask_for_them(self) -> None:
        [found] = documents(DEPLOY / "prometheus" / "kubernetes.yml")
        [job] = found["scrape_configs"]
        assert {KUSTOMIZATION["namespace"]} == set(job["kubernetes_sd_configs"][0]["namespaces"]["names"])
        seen = [relabelled(pod_labels(workload), job["relabel_configs"]) for workload in WORKLOADS]
        kept = [labels for labels in seen if labels is not None]
        assert {labels["job"] for labels in kept} == {"nebuloviz", "ingest"}
        assert all(labels["namespace"] == "nebuloviz" and labels["pod"] for labels in kept)
        adapter = (FOLDER / "metrics-adapter.yaml").read_text(encoding="utf-8")
        assert set(re.findall(r'\{(\w+)!=""', adapter)) <= {"namespace", "pod", "job"}

    def test_show_health_and_figures_to_nobody_outside(self) -> None:
        [ingress] = of_kind("Ingress")
        [rule] = ingress["spec"]["rules"]
        leads = {path["path"]: path["backend"]["service"]["name"] for path in rule["http"]["paths"]}
        selected = {found["metadata"]["name"]: "selector" in found["spec"] for found in of_kind("Service")}
        assert {path: selected[service] for path, service in leads.items()} == {
            "/metrics": False,
            "/readyz": False,
            "/": True,
        }

    def test_hold_no_secret(self) -> None:
        assert not of_kind("Secret")

"""The workflows: nothing that actionlint or zizmor complains about, actions pinned by their commit and images by their digest."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Collection
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark.expression import Expression

from nebuloviz import cli
from nebuloviz.migrate import head
from tests.deploy.files import ROOT, documents
from tests.servers.base import MissingServerError, find_program
from tests.servers.kafka import cache_folder
from tests.servers.required import needs_servers

FOLDER = ROOT / ".github"
WORKFLOWS = sorted((FOLDER / "workflows").glob("*.yml"))
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
_PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v[\d.]+$")
_DIGEST = re.compile(r" [\w./-]+(:[\w.-]+)?@sha256:[0-9a-f]{64} ")
_LOCAL = re.compile(r"uses: \./\.github/workflows/[\w-]+\.yml$")


def run(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def actionlint() -> Path:
    """The installed one, which comes with the test tools on Linux, or one that Go builds, once."""
    with needs_servers():
        try:
            return find_program("actionlint", folders=(str(cache_folder()),))
        except MissingServerError:
            go = find_program("go", folders=("/usr/local/go/bin",))
    environment = {**os.environ, "GOBIN": str(cache_folder())}
    subprocess.run([go, "install", ACTIONLINT], env=environment, check=True, capture_output=True, timeout=300)
    return cache_folder() / "actionlint"


@pytest.mark.timeout(400)
def test_have_nothing_that_actionlint_complains_about(actionlint: Path) -> None:
    run(actionlint)


def test_have_nothing_dangerous_that_zizmor_finds() -> None:
    run(find_program("zizmor"), "--offline", "--no-progress", "--min-severity", "medium", FOLDER)


def test_follow_the_schema() -> None:
    run(find_program("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    run(find_program("check-jsonschema"), "--builtin-schema", "vendor.dependabot", FOLDER / "dependabot.yml")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_pin_every_action_by_its_commit(path: Path) -> None:
    lines = [line.strip().removeprefix("- ") for line in path.read_text(encoding="utf-8").splitlines()]
    used = [line for line in lines if line.startswith("uses:")]
    assert used
    assert [line for line in used if not _PINNED.match(line) and not _LOCAL.match(line)] == []


def test_pin_every_image_that_they_run_by_its_digest() -> None:
    lines = [
        line for path in WORKFLOWS for line in path.read_text(encoding="utf-8").splitlines() if "docker run" in line
    ]
    assert lines
    assert [line for line in lines if not _DIGEST.search(line)] == []


def test_run_on_every_python_that_is_supported() -> None:
    text = (FOLDER / "workflows" / "ci.yml").read_text(encoding="utf-8")
    oldest = re.search(r'requires-python = ">=3\.(\d+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert oldest is not None
    for versions in re.findall(r"matrix: \{python: \[([^\]]+)\]\}", text):
        minors = [int(minor) for minor in re.findall(r'"3\.(\d+)"', versions)]
        assert minors == list(range(int(oldest[1]), 15))


def test_pass_over_no_test_but_those_on_data_that_is_not_there() -> None:
    """Whatever a test needs, there is a job whose line takes it, and in which a missing server is a failure."""
    path = FOLDER / "workflows" / "ci.yml"
    [workflow] = documents(path)
    assert workflow["env"]["NEBULOVIZ_TEST_SERVERS"] == "required"
    lines = re.findall(r'test --thorough -m "?([^"\n]+)"?$', path.read_text(), re.MULTILINE)
    taken = [Expression.compile(line) for line in lines]
    needs = ("servers", "browser", "faults", "image")
    for few in range(len(needs) + 1):
        for marks in combinations(needs, few):
            assert any(takes(line, marks) for line in taken), marks


def test_release_nothing_that_was_not_checked_scanned_and_described() -> None:
    [release] = documents(FOLDER / "workflows" / "release.yml")
    jobs = release["jobs"]
    assert jobs["checked"]["uses"] == "./.github/workflows/ci.yml"
    assert jobs["image"]["needs"] == "checked"
    assert {name for name in ("staging", "production") if "image" in jobs[name]["needs"]} == {"staging", "production"}
    steps = jobs["image"]["steps"]
    assert [step["with"]["exit-code"] for step in steps if "exit-code" in step.get("with", {})] == ["1"]
    built = next(step["run"] for step in steps if step.get("id") == "build")
    assert "--sbom=true --provenance=mode=max" in built


def test_give_an_image_its_version_only_once_nothing_was_found_in_it() -> None:
    [release] = documents(FOLDER / "workflows" / "release.yml")
    steps = release["jobs"]["image"]["steps"]
    [built] = [number for number, step in enumerate(steps) if "buildx build" in step.get("run", "")]
    [refuses] = [number for number, step in enumerate(steps) if "exit-code" in step.get("with", {})]
    [named] = [number for number, step in enumerate(steps) if "imagetools create" in step.get("run", "")]
    [told] = [number for number, step in enumerate(steps) if "gh release create" in step.get("run", "")]
    assert built < refuses < named < told
    assert "push-by-digest=true" in steps[built]["run"]
    assert not {"--tag", "--push", "-t"} & set(steps[built]["run"].split()), "a name of its own would be seen at once"
    assert '--tag "$IMAGE:${TAG#v}" "$IMAGE@$DIGEST"' in steps[named]["run"]
    assert steps[refuses]["with"]["image-ref"].endswith("@${{ steps.build.outputs.digest }}"), (
        "it is that which is named"
    )
    assert not any("continue-on-error" in step or "if" in step for step in steps)


class TestADeploymentThatDoesNotBecomeReady:
    """It goes back to what was noted before: first the tables, by the new image, and then the processes."""

    @pytest.fixture
    def steps(self) -> dict[str, dict[str, Any]]:
        """By what they do, in their order."""
        [deploy] = documents(FOLDER / "workflows" / "deploy.yml")
        does = {
            "note": "import head",
            "start": "rollout status",
            "tables": "--down-to",
            "processes": "rollout undo",
            "forget": "rm -f",
        }
        found = [
            (next((name for name, words in does.items() if words in step.get("run", "")), ""), step)
            for step in deploy["jobs"]["deploy"]["steps"]
        ]
        return {name: step for name, step in found if name}

    def test_goes_back_in_order_and_only_where_something_was_changed(self, steps: dict[str, dict[str, Any]]) -> None:
        assert list(steps) == ["note", "start", "tables", "processes", "forget"]
        assert (steps["note"]["id"], steps["start"]["id"]) == ("before", "start")
        changed = "failure() && steps.start.outcome == 'failure' && steps.before.outputs.revision != ''"
        assert steps["tables"]["if"] == steps["processes"]["if"] == changed
        assert steps["tables"]["env"] == {"REVISION": "${{ steps.before.outputs.revision }}"}
        assert "wait --for=condition=complete job/nebuloviz-migrate" in steps["tables"]["run"]
        for part in ("web", "ingest"):
            undo = f'rollout undo deployment/nebuloviz-{part} "--to-revision=${part.upper()}"'
            assert undo in steps["processes"]["run"]
            assert steps["processes"]["env"][part.upper()] == f"${{{{ steps.before.outputs.{part} }}}}"

    def test_asks_the_version_of_before_for_its_revision(self, steps: dict[str, dict[str, Any]]) -> None:
        [asked] = re.findall(r"-- python -c '([^']+)'", steps["note"]["run"])
        done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout == f"{head()}\n"

    def test_undoes_the_migration_by_the_job_that_made_it(self, steps: dict[str, dict[str, Any]]) -> None:
        """What becomes of its arguments is a command of the program, and the selector leaves the Job alone."""
        [command] = re.findall(r"patch=\$\((.+?)\)$", steps["tables"]["run"], re.MULTILINE | re.DOTALL)
        environment = {**os.environ, "REVISION": "0007"}
        patch = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=True).stdout  # noqa: S602 - ours
        [change] = json.loads(patch)
        [job] = documents(ROOT / "deploy" / "kubernetes" / "migrate.yaml")
        assert change == {
            "op": "replace",
            "path": "/spec/template/spec/containers/0/args",
            "value": ["migrate", "--down-to", "0007"],
        }
        assert job["metadata"]["name"] == "nebuloviz-migrate"
        assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["migrate"]
        assert cli._parser().parse_args(change["value"]).down_to == "0007"
        [selected] = re.findall(r"--selector (\S+)=(\S+)", steps["tables"]["run"])
        labelled = [
            each["kind"]
            for path in (ROOT / "deploy" / "kubernetes").glob("*.yaml")
            for each in documents(path)
            if each.get("metadata", {}).get("labels", {}).get(selected[0]) == selected[1]
        ]
        assert labelled == ["Job"]


@pytest.mark.parametrize("scanner", ["pip-audit", "gitleaks", "trivy-action"])
def test_look_for_what_is_known_to_be_dangerous(scanner: str) -> None:
    assert scanner in (FOLDER / "workflows" / "ci.yml").read_text(encoding="utf-8")


def test_take_for_no_secrets_but_those_of_the_tests() -> None:
    with (ROOT / ".gitleaks.toml").open("rb") as file:
        config = tomllib.load(file)
    assert config["extend"] == {"useDefault": True}
    assert config["allowlist"].keys() == {"regexes"}, "a path or a commit that is left out leaves out whatever is there"
    for each in config["allowlist"]["regexes"]:
        found = re.fullmatch(r"\^([\w-]+)\$", each)
        assert found, f"{each} may be more than one text"
        assert any(found[1] in path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
        program = [
            ROOT / "app.py",
            *(path for folder in ("nebuloviz", "pages", "deploy") for path in (ROOT / folder).rglob("*.*")),
        ]
        assert not any(found[1].encode() in path.read_bytes() for path in program)


def takes(line: Expression, marks: Collection[str]) -> bool:
    """Whether a job of that line runs a test with these markers."""

    def has(name: str, /, **_words: str | int | bool | None) -> bool:
        return name in marks

    return line.evaluate(has)

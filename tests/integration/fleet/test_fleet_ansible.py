"""The Ansible role of examples/ansible: its syntax and style. It was run against real nodes by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from ferd.config.fleet import load_fleet

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "examples/ansible"
ROLE = FOLDER / "roles/ferd"


def run(tmp_path: Path, name: str, *arguments: str) -> str:
    """With a home of its own: Ansible writes there. Its locale must be UTF-8."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is missing: apt install ansible-core ansible-lint")
    environ = {"PATH": f"{Path(program).parent}:/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    copy = tmp_path / "ansible"
    shutil.copytree(FOLDER, copy)
    done = subprocess.run(
        [program, *arguments], cwd=copy, env=environ, capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_syntax(tmp_path: Path) -> None:
    assert "playbook: site.yml" in run(tmp_path, "ansible-playbook", "--syntax-check", "site.yml")


@pytest.mark.skipif("FERD_TEST_FLEET_PYTHON" not in os.environ, reason="takes long: ./scripts/test-recipes runs it")
def test_ansible_lint_accepts_it(tmp_path: Path) -> None:
    run(tmp_path, "ansible-lint", "--offline", "--nocolor", "site.yml")


def test_all_that_the_role_uses_has_a_default() -> None:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    tasks = (ROLE / "tasks/main.yml").read_text()
    assert defaults.keys() == {name for name in defaults if f"{name} " in tasks or f"{name} }}}}" in tasks}


def test_secrets_are_for_root_alone() -> None:
    """The expression of the role, in Python: what is not a certificate has mode 0600."""
    (task,) = [it for it in yaml.safe_load((ROLE / "tasks/main.yml").read_text()) if "credentials" in it["name"]]
    assert task["diff"] is False, "--diff would print them"
    assert r"item is match('.*(cert|authority)\.pem$') else '0600'" in task["ansible.builtin.copy"]["mode"]


def test_the_fleet_file_of_the_examples_is_valid_for_each_node_of_the_inventory() -> None:
    fleet = load_fleet(ROOT / "examples/fleet/fleet.toml")
    hosts = yaml.safe_load((FOLDER / "inventory.yml").read_text())["all"]["children"]["ferd"]["hosts"]
    assert [name for name in hosts if f'name = "{name}"' in fleet.render(name)] == list(hosts)

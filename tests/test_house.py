"""The house rules that a machine can check: sizes, documents, what a bundle carries."""

from __future__ import annotations

import ast
import importlib
import io
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("client", "common", "server", "simulations", "strategies")
MODULES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_says_one_thing_and_says_what(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 350
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_come_from_this_project(package: str) -> None:
    assert Path(str(importlib.import_module(package).__file__)).is_relative_to(ROOT)


def test_nothing_is_pickled_or_evaluated() -> None:
    forbidden = {"pickle", "cloudpickle", "joblib", "dill", "shelve", "marshal"}
    for file in MODULES:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not forbidden & {name.split(".")[0] for name in names}, file
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec"}, file


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_app_bundle_carries_the_apps_and_nothing_else() -> None:
    from flwr.cli.build import build_fab_from_disk

    with zipfile.ZipFile(io.BytesIO(build_fab_from_disk(ROOT))) as bundle:
        carried = {name for name in bundle.namelist() if not name.startswith(".info/")}
    packages = ("client", "common", "server", "strategies")
    sources = {
        str(file.relative_to(ROOT))
        for package in packages
        for pattern in ("*.py", "*.json", "*.toml")
        for file in (ROOT / package).rglob(pattern)
        if "__pycache__" not in file.parts
    }
    assert carried == sources | {"README.md", "pyproject.toml"}


def test_the_bundle_runs_from_its_own_folder(tmp_path: Path) -> None:
    from flwr.cli.build import build_fab_from_disk

    with zipfile.ZipFile(io.BytesIO(build_fab_from_disk(ROOT))) as bundle:
        bundle.extractall(tmp_path)
    probe = "import client.app, server.app; print(client.app.__file__, server.app.__file__)"
    ended = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {probe}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.count(str(tmp_path)) == 2


def test_run_configuration_is_declared_as_it_is_parsed() -> None:
    from common.plan import read
    from server.settings import RunRequest

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["flwr"]["app"]["config"]
    assert set(declared) == set(RunRequest("x", read("demo"), "deployment").to_config())


def test_links_and_paths_in_the_documents_exist() -> None:
    for document in ("README.md", "SECURITY.md", "deploy/local/README.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / document).parent.joinpath(target).exists(), (document, target)
        for target in re.findall(r"`((?:client|common|server|strategies|simulations|tests|deploy)/[\w./-]*)`", text):
            assert (ROOT / target).exists(), (document, target)


def test_every_dependency_is_pinned_and_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    extras = project["optional-dependencies"]
    for requirement in [*project["dependencies"], *extras["cpu"], *extras["cuda"], *extras["test"]]:
        name = re.split(r"[\[<>=]", requirement)[0]
        assert f"\n{name.lower()}==" in pins, name
        assert name in readme or requirement in extras["test"], name

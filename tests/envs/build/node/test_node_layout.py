from __future__ import annotations

from datetime import UTC, datetime

import pytest
from podgym_test_kit.node import tree

from podgym.envs.build.catalogue import IMAGES, Catalogue
from podgym.envs.build.languages.node.layout import Layout
from podgym.envs.build.languages.node.manager import Manager, choose_manager
from podgym.envs.build.languages.node.nodes import choose_node

COMMITTED = datetime(2025, 6, 1, tzinfo=UTC)
WORKSPACE = {
    "package.json": {"workspaces": {"packages": ["packages/*", "!packages/old"]}},
    "packages/a/package.json": {"name": "@x/a", "dependencies": {"@x/b": "workspace:*"}},
    "packages/b/package.json": {"name": "@x/b", "dependencies": {"@x/c": "^1", "@x/a": "*"}},
    "packages/c/package.json": {"name": "@x/c"},
    "packages/old/package.json": {"name": "old"},
    "packages/a/test/fixtures/one/package.json": {"name": "fixture", "scripts": {"test": "x"}},
    "packages/a/test/package.json": {"type": "commonjs"},
    "tools/site/package.json": {"scripts": {"test": "jest"}},
    "broken/package.json": "{",
}


def test_a_file_belongs_to_the_innermost_package_and_that_to_its_workspace() -> None:
    layout = Layout(tree(WORKSPACE))
    for path, directory in {
        "packages/a/test/x.test.js": "packages/a",
        "packages/a/test/fixtures/one/index.js": "packages/a",
        "tools/site/a.js": "tools/site",
        "test/a.js": "",
        "broken/a.js": "",
    }.items():
        package = layout.package_of(path)
        assert package is not None and package.directory == directory, path
    workspace = layout.workspace_of("packages/a")
    assert (workspace.directory, sorted(workspace.members)) == ("", ["packages/a", "packages/b", "packages/c"])
    assert layout.workspace_of("tools/site").directory == "tools/site"
    assert [one.name for one in workspace.siblings(workspace.members["packages/a"])] == ["@x/c", "@x/b"]
    assert layout.notes == ["broken/package.json is not a JSON object"]


@pytest.mark.parametrize(
    "files",
    [
        {"pnpm-workspace.yaml": "packages:\n  - 'packages/*'\n", "package.json": {}},
        {"lerna.json": {"packages": ["packages/*"]}, "package.json": {}},
        {"lerna.json": {"version": "1.0.0"}, "package.json": {}},
        {"package.json": {"workspaces": ["./packages/{a,z}/"]}},
    ],
)
def test_each_kind_of_workspace_is_known(files) -> None:
    layout = Layout(tree({**files, "packages/a/package.json": {}}))
    assert list(layout.workspace_of("packages/a").members) == ["packages/a"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, Manager("npm", "", "", "no lock file")),
        ({"package-lock.json": "{}"}, Manager("npm", "", "package-lock.json", "lock file")),
        ({"yarn.lock": "# yarn lockfile v1\n"}, Manager("yarn", "1", "yarn.lock", "lock file")),
        ({"yarn.lock": "__metadata:\n  version: 8\n"}, Manager("yarn", "4", "yarn.lock", "lock file")),
        ({"yarn.lock": "", ".yarnrc.yml": "yarnPath: .yarn/releases/yarn-3.2.1.cjs\n"}, Manager("yarn", "3.2.1", "yarn.lock", "lock file")),
        ({"pnpm-lock.yaml": "lockfileVersion: '6.0'\n"}, Manager("pnpm", "8", "pnpm-lock.yaml", "lock file")),
        ({"pnpm-lock.yaml": "lockfileVersion: 5.4\n"}, Manager("pnpm", "7", "pnpm-lock.yaml", "lock file")),
        ({"pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}, Manager("pnpm", "10", "pnpm-lock.yaml", "lock file")),
        ({"bun.lock": ""}, Manager("bun", "1", "bun.lock", "lock file")),
        ({"pnpm-workspace.yaml": "packages: []"}, Manager("pnpm", "10", "", "no lock file")),
        (
            {"package.json": {"packageManager": "pnpm@9.1.0+sha512.abc"}, "pnpm-lock.yaml": "lockfileVersion: '9.0'"},
            Manager("pnpm", "9.1.0", "pnpm-lock.yaml", "packageManager"),
        ),
        (
            {"package.json": {"packageManager": "pnpm@9.1.0"}, "package-lock.json": "{}"},
            Manager("npm", "", "package-lock.json", "lock file"),
        ),
        ({"package-lock.json": "{}", "yarn.lock": ""}, Manager("yarn", "1", "yarn.lock", "lock file")),
    ],
)
def test_the_manager_is_that_of_the_lock_file(files, expected: Manager) -> None:
    made = tree({"package.json": {}, **files})
    workspace = Layout(made).workspace_of("")
    commands = ("yarn install --frozen-lockfile",)
    assert choose_manager(made, workspace, node=20, committed=COMMITTED, commands=commands, versions=(), notes=[]) == expected


def test_a_manager_that_needs_a_newer_node_gives_way() -> None:
    made = tree({"package.json": {"packageManager": "pnpm@9.0.0"}, "pnpm-lock.yaml": ""})
    notes: list[str] = []
    found = choose_manager(made, Layout(made).workspace_of(""), node=16, committed=COMMITTED, commands=(), versions=(), notes=notes)
    assert (found.version, notes) == ("8", ["pnpm 9.0.0 does not run on Node 16; pnpm 8 is used"])


@pytest.mark.parametrize(
    ("files", "ci", "expected"),
    [
        ({}, (), "22"),
        ({".nvmrc": "v18.12.1\n"}, ("20",), "18"),
        ({".nvmrc": "lts/hydrogen\n"}, (), "18"),
        ({".tool-versions": "pnpm 9\nnodejs 20.1.0\n"}, (), "20"),
        ({"package.json": {"volta": {"node": "16.0.0"}}}, ("20",), "16"),
        ({}, ("14", "18", "20"), "20"),
        ({}, ("18", "24"), "18"),
        ({"package.json": {"engines": {"node": "<19"}}}, ("18", "20"), "18"),
        ({"package.json": {"engines": {"node": "<11 >=10"}}}, (), "10"),
        ({}, ("20.x", "lts/*", "latest"), "20"),
        ({"package-lock.json": {"packages": {"node_modules/vitest": {"engines": {"node": ">=24"}}}}}, ("20",), "24"),
    ],
)
def test_the_version_of_node(files, ci: tuple[str, ...], expected: str) -> None:
    made = tree({"package.json": {}, **files})
    workspace = Layout(made).workspace_of("")
    found = choose_node(made, workspace, [], catalogue=Catalogue(), ci=ci, committed=COMMITTED, asked="", notes=[])
    assert found is not None and (found.image.version, found.major, found.installed) == (expected, int(expected), False)


@pytest.mark.parametrize(
    ("files", "ci", "major", "installed"),
    [
        ({"package.json": {"engines": {"node": ">=16"}}}, ("18", "20", "22"), 20, False),
        ({}, (), 20, False),
        ({".nvmrc": "18"}, (), 18, True),
        ({}, ("10", "12"), 12, True),
        ({"package.json": {"engines": {"node": ">=22"}}}, (), 22, True),
        (
            {
                "package.json": {"devDependencies": {"vitest": "^5"}},
                "pnpm-lock.yaml": "packages:\n\n  vitest@5.0.0:\n    resolution: {integrity: x}\n    engines: {node: '>=22.12.0'}\n",
            },
            (),
            22,
            True,
        ),
    ],
)
def test_a_node_without_a_present_image_is_installed_on_another(files, ci: tuple[str, ...], major: int, installed: bool) -> None:
    made = tree({"package.json": {}, **files})
    present = Catalogue(present=frozenset(image.name for image in IMAGES if image.version == "20"))
    found = choose_node(made, Layout(made).workspace_of(""), [], catalogue=present, ci=ci, committed=COMMITTED, asked="", notes=[])
    assert found is not None
    assert (found.image.name, found.major, found.installed) == ("node:20-bookworm", major, installed)


@pytest.mark.parametrize(
    ("lock", "text"), [("yarn.lock", "__metadata:\n  version: {}\n"), ("pnpm-lock.yaml", "lockfileVersion: {}\n"), ("package.json", "{{}}")]
)
def test_versions_beyond_reason_are_no_failure(lock: str, text: str) -> None:
    digits = "9" * 5000
    files = {"package.json": "{}", lock: text.format(digits)}
    workspace = Layout(tree(files)).workspace_of("")
    made = choose_manager(
        tree(files), workspace, node=20, committed=COMMITTED, commands=(), versions=(digits, f"9.{digits}", "9.1"), notes=[]
    )
    assert len(made.version) < 40

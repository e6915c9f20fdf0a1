"""What lock files say, as constraints, and that an installer obeys them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from podgym.envs.build import BuildOptions, build_task
from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.languages.python.detect import detect
from podgym.envs.build.languages.python.locks import read_lock
from podgym.envs.build.languages.python.plan import plan_python
from podgym.sandbox import SandboxProvider
from podgym.sandbox.local import LocalConfig, LocalProvider

UV = """
version = 1
[[package]]
name = "calc"
version = "1"
source = { virtual = "." }
[[package]]
name = "Six"
version = "1.15.0"
source = { registry = "https://index.example.org/simple" }
[[package]]
name = "numpy"
version = "1.26.4"
source = { registry = "https://index.example.org/simple" }
resolution-markers = ["python_full_version < '3.12'", "python_full_version == '3.12.*'"]
[[package]]
name = "numpy"
version = "2.1.0"
source = { registry = "https://index.example.org/simple" }
resolution-markers = ["python_full_version >= '3.13'"]
[[package]]
name = "attrs"
version = "22.1.0"
source = { registry = "https://index.example.org/simple" }
[[package]]
name = "attrs"
version = "23.1.0"
source = { registry = "https://index.example.org/simple" }
[[package]]
name = "torch"
version = "2.1.0+cpu"
source = { registry = "https://torch.example.org/whl" }
[[package]]
name = "far"
version = "1.0"
source = { git = "https://example.org/far.git?rev=1#abc" }
[[package]]
name = "near"
version = "1.0"
source = { url = "https://example.org/near-1.0.tar.gz" }
[[package]]
name = "member"
version = "1.0"
source = { editable = "packages/member" }
"""
OF_UV = (
    'numpy==1.26.4 ; python_full_version < "3.12" or python_full_version == "3.12.*"',
    'numpy==2.1.0 ; python_full_version >= "3.13"',
    "six==1.15.0",
)
POETRY = """
[[package]]
name = "six"
version = "1.15.0"
optional = false
python-versions = "*"
files = []
[[package]]
name = "inner"
version = "2.0"
[package.source]
type = "legacy"
url = "https://index.example.org/simple"
reference = "own"
[[package]]
name = "far"
version = "1.0"
[package.source]
type = "git"
url = "https://example.org/far.git"
[[package]]
name = "near"
version = "1.0"
[package.source]
type = "url"
url = "https://example.org/near.whl"
[[package]]
name = "old"
version = "1.0"
markers = "python_version < \\"3.10\\""
[[package]]
name = "old"
version = "2.0"
markers = {main = "python_version >= \\"3.10\\"", dev = "extra == 'x'"}
"""
PDM = """
[[package]]
name = "six"
version = "1.15.0"
[[package]]
name = "coverage"
version = "7.4.0"
[[package]]
name = "coverage"
version = "7.4.0"
extras = ["toml"]
[[package]]
name = "far"
version = "1.0"
git = "https://example.org/far.git"
[[package]]
name = "near"
version = "1.0"
path = "./near"
"""
PYLOCK = """
lock-version = "1.0"
[[packages]]
name = "six"
version = "1.15.0"
index = "https://index.example.org/simple"
wheels = [{ url = "https://index.example.org/six.whl", hashes = {} }]
[[packages]]
name = "attrs"
version = "22.1.0"
marker = "python_version < '3.9'"
[[packages]]
name = "attrs"
version = "23.1.0"
marker = "python_version >= '3.9'"
[[packages]]
name = "far"
version = "1.0"
vcs = { type = "git", url = "https://example.org/far.git", commit-id = "abc" }
[[packages]]
name = "near"
directory = { path = "near" }
"""
PIPENV = """
{"_meta": {"hash": {"sha256": "0"}, "requires": {"python_version": "3.11"}, "sources": [{"name": "own", "url": "https://x"}]},
 "default": {"Six": {"hashes": [], "index": "own", "version": "==1.15.0"}, "far": {"git": "https://example.org/far.git", "ref": "abc"},
  "local": {"version": "==2.1+cpu"}},
 "develop": {"pytest": {"markers": "python_version >= '3.8'", "version": "==7.4.0"}, "near": {"editable": true, "path": "."}, "odd": 3}}
"""


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("uv.lock", UV, OF_UV),
        ("poetry.lock", POETRY, ("inner==2.0", "six==1.15.0")),
        ("pdm.lock", PDM, ("coverage==7.4.0", "six==1.15.0")),
        ("pylock.toml", PYLOCK, ('attrs==22.1.0 ; python_version < "3.9"', 'attrs==23.1.0 ; python_version >= "3.9"', "six==1.15.0")),
        ("Pipfile.lock", PIPENV, ("pytest==7.4.0", "six==1.15.0")),
        ("Pipfile.lock", "[]", ()),
        ("uv.lock", 'package = 3\nname = "x"\n', ()),
        ("poetry.lock", '[[package]]\nname = "a b; rm"\nversion = "1"\n[[package]]\nname = "b"\nversion = "x y"\n', ()),
    ],
)
def test_versions(name: str, text: str, lines: tuple[str, ...]) -> None:
    notes: list[str] = []
    found = read_lock("packages/one", {name: text}.get, project="calc", notes=notes)
    assert found is not None and (found.path, found.constraints, notes) == (name, lines, [])


@pytest.mark.parametrize(
    "second",
    [
        """version = "2"\nresolution-markers = ['''os_name == 'a\\nPODGYM_LOCK\\ntouch x\\n'''']""",
        'version = "\\n2\\n"\nmarker = "os_name == \'nt\'"',
    ],
    ids=["marker", "version"],
)
def test_no_line_of_a_lock_file_is_two(second: str) -> None:
    text = f"""[[package]]\nname = "a"\nversion = "1"\nmarker = "os_name == 'posix'"\n[[package]]\nname = "a"\n{second}\n"""
    found = read_lock("", {"uv.lock": text}.get, notes=[])
    assert found is not None and all(line.isprintable() for line in found.constraints)


def test_the_nearest_that_can_be_read() -> None:
    notes: list[str] = []
    found = read_lock("a", {"a/uv.lock": "[[", "pdm.lock": PDM}.get, notes=notes)
    assert found is not None and found.path == "pdm.lock"
    assert len(notes) == 1 and notes[0].startswith("a/uv.lock cannot be read")
    assert read_lock("a", {}.get, notes=notes) is None
    for text in ("{", "[" * 100_000):
        assert read_lock("", {"Pipfile.lock": text}.get, notes=notes) is None
    assert [note.partition(":")[0] for note in notes[1:]] == ["Pipfile.lock cannot be read"] * 2


def test_constraints_belong_to_the_layer_that_tasks_share() -> None:
    files = {"calc.py": "", "tests/test_calc.py": "", "pyproject.toml": PROJECT % '"six"', "uv.lock": UV}
    found = detect(sorted(files), files.get, changed_source=["calc.py"], changed_tests=["tests/test_calc.py"])
    assert found.constraints == OF_UV
    made = plan_python(found, committed=datetime(2024, 7, 1, tzinfo=UTC), catalogue=Catalogue())
    (before,), (after,) = made.dependencies, made.install
    assert "\n".join(("", *OF_UV, "PODGYM_LOCK", "install six", "")) in before.run
    assert "six==1.15.0" not in after.run


PROJECT = """
[build-system]
requires = ["setuptools>=64"]
build-backend = "setuptools.build_meta"
[project]
name = "calc"
version = "1"
dependencies = [%s]
"""
MODULE = "def add(a, b):\n    return a - b\n"
TEST = "import six\nfrom calc import add\n\ndef test_%s():\n    assert add(%s) == %d and six.__version__ == '%s'\n"
LOCK = '[[package]]\nname = "six"\nversion = "%s"\n'


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[SandboxProvider]:
    opened = LocalProvider(LocalConfig(cache=tmp_path / "images", scratch=tmp_path / "scratch"))
    yield opened
    await opened.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("locked", "installed"),
    [("1.15.0", "1.15.0"), ("1.0.999", "1.16.0")],
    ids=["obeyed", "a version that no index has"],
)
async def test_a_lock_file_is_obeyed_where_it_can_be(history, tmp_path: Path, provider, locked: str, installed: str) -> None:
    base = {"pyproject.toml": PROJECT % '"six<1.17"', "poetry.lock": LOCK % locked, "calc.py": MODULE}
    history.commit("start", {**base, "tests/test_old.py": TEST % ("old", "0, 0", 0, installed)})
    fix = history.commit("Mend", {"calc.py": MODULE.replace("a - b", "a + b"), "tests/test_new.py": TEST % ("new", "1, 2", 3, installed)})
    options = BuildOptions(repeats=1, decoys=False, repairs=0, toolchain=f"{sys.version_info.major}.{sys.version_info.minor}")
    report = await build_task(history.path, fix, tmp_path / "out", provider=provider, options=options)
    assert report.status == "validated", (report.message, report.details)
    assert report.fail_to_pass == ("tests/test_new.py::test_new",) and report.pass_to_pass == ("tests/test_old.py::test_old",)
    assert ("not by the lock file: six<1.17" in report.notes) is (locked != installed), report.notes

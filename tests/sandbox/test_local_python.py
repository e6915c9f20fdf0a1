"""Pythons of the local provider: as bare as their images, and what `pip` does there stays as it would in an image."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from podgym.sandbox import Copy, ImageError, ImageRecipe, SandboxSpec, Step
from podgym.sandbox.local import LocalConfig, find_layers
from podgym.sandbox.local.pythons import Interpreter, find_pythons
from podgym.sandbox.local.toolchains.python import describe_python

PYTHONS = find_pythons({})
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
INSTALL = "pip install --no-index --no-deps --disable-pip-version-check"
SOME = sorted({VERSION, min(PYTHONS, key=lambda version: int(version[2:])), max(PYTHONS, key=lambda version: int(version[2:]))})


def wheel(folder: Path, name: str, version: str) -> str:
    """A package that says its version, also as a program."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"__version__ = {version!r}\n\n\ndef main():\n    print({name!r}, __version__)\n",
        f"{name}/__main__.py": f"from {name} import main\n\nmain()\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in files.items():
            archive.writestr(member, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{member},,\n" for member in (*files, f"{info}/RECORD")))
    return path.name


@pytest.fixture
def context(tmp_path: Path) -> Path:
    for name, version in (("podgymtried", "1.0"), ("podgymtried", "2.0"), ("setuptools", "999.0"), ("pip", "999.0")):
        wheel(tmp_path / "context" / "wheels", name, version)
    return tmp_path / "context"


WHEELS = Copy(source="wheels", target="/testbed/wheels")


def spec(context: Path | None, version: str = VERSION, **recipe: Any) -> SandboxSpec:
    full = ImageRecipe(base=f"python:{version}-bookworm", workdir="/testbed", **recipe)
    return SandboxSpec(image="task", recipe=full, context=context and str(context), workdir="/testbed")


async def output(sandbox: Any, script: str) -> str:
    result = await sandbox.run(script, timeout_s=120)
    assert result.exit_code == 0, result.stdout.text() + result.stderr.text()
    return result.stdout.text()


class TestWhatStepsInstall:
    @pytest.mark.parametrize("writable", [(), ("/opt",), ("/opt/python",), ("/opt/python/lib", "/opt/other")])
    async def test_is_in_every_sandbox_of_the_image(self, local, context, tmp_path, writable):
        provider = local(cache=tmp_path / "cache")
        recipe = {
            "writable": writable,
            "before_copies": (WHEELS,),
            "before": (Step(run=f"{INSTALL} wheels/podgymtried-1.0-py3-none-any.whl"), Step(run="podgymtried")),
            "after": (Step(run="python -m podgymtried; rm -r wheels"),),
        }
        for _ in range(2):
            sandbox = await provider.create(spec(context, **recipe))
            assert await output(sandbox, "podgymtried; python -m podgymtried") == "podgymtried 1.0\n" * 2
            assert "site-packages" in await output(sandbox, "python -c 'import podgymtried; print(podgymtried.__file__)'")
            await output(sandbox, "pip uninstall -y podgymtried; ! podgymtried")
        layers = find_layers(spec(context, **recipe).recipe, context, LocalConfig(cache=tmp_path / "cache"))
        installed = [place for layer in layers for tree, place in layer.trees if list(tree.rglob("podgymtried/__main__.py"))]
        assert installed == [next(iter(writable), "/opt/python") if writable != ("/opt/python/lib", "/opt/other") else "/opt/python"]

    async def test_is_replaced_and_removed_by_later_steps(self, local, context, tmp_path):
        recipe = {
            "before_copies": (WHEELS,),
            "before": (Step(run=f"{INSTALL} wheels/podgymtried-1.0-py3-none-any.whl wheels/setuptools-999.0-py3-none-any.whl"),),
            "after": (Step(run=f"{INSTALL} wheels/podgymtried-2.0-py3-none-any.whl; pip uninstall -y setuptools"),),
        }
        sandbox = await local(cache=tmp_path / "cache").create(spec(context, **recipe))
        assert await output(sandbox, "podgymtried; ls /opt/python/bin | grep -c setuptools || true") == "podgymtried 2.0\n0\n"

    async def test_stays_without_overlays(self, local, context, tmp_path, refusing):
        refusing("mount", "def refuse(source, target, kind, *_):\n    if kind == 'overlay':\n        raise OSError(22, 'no overlays')")
        recipe = {"copies": (WHEELS,), "after": (Step(run=f"{INSTALL} wheels/podgymtried-1.0-py3-none-any.whl"),)}
        sandbox = await local(cache=tmp_path / "cache").create(spec(context, **recipe))
        assert await output(sandbox, "podgymtried; pip --version > /dev/null") == "podgymtried 1.0\n"

    async def test_layers_of_another_layout_are_not_used(self, local, tmp_path):
        wanted = spec(None, after=(Step(run="true"),))
        await local(cache=tmp_path / "cache").create(wanted)
        (done,) = (tmp_path / "cache").glob("*/*/done")
        before = hashlib.sha256(f"{wanted.recipe.digest(None)}\0{PYTHONS[VERSION].executable}".encode()).hexdigest()[:16]
        assert done.parent.name != before
        assert [layer.name for layer in find_layers(wanted.recipe, None, LocalConfig(cache=tmp_path / "cache"))] == [done.parent.name]


def state(python: Interpreter) -> dict[str, int]:
    """When each file of the packages that come with it was written."""
    folder = python.prefix / "lib" / f"python{python.version}" / "site-packages"
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*") if path.suffix != ".pyc" and path.is_file()}


def copied(python: Interpreter, top: Path) -> Interpreter:
    """One whose packages may be spoilt: where nothing is isolated, a test that fails would spoil the machine's."""
    name = f"python{python.version}"
    library, site = top / "lib" / name, top / "lib" / name / "site-packages"
    library.mkdir(parents=True)
    for path in (python.prefix / "lib" / name).iterdir():
        if path.name != "site-packages":
            (library / path.name).symlink_to(path)
    for path in (python.prefix / "lib").glob("libpython*"):
        (top / "lib" / path.name).symlink_to(path)
    for link, path in describe_python(python).links:
        if "-packages/" in link:
            shutil.copytree(path, site / Path(path).name)
    (top / "bin").mkdir()
    return Interpreter(python.version, Path(shutil.copy2(python.executable, top / "bin" / name)))


@pytest.mark.parametrize("isolation", ["require", "off"])
@pytest.mark.parametrize("version", SOME)
async def test_what_comes_with_it_can_be_upgraded_and_the_machine_stays_as_it_was(local, context, tmp_path, version, isolation):
    found = describe_python(PYTHONS[version])
    if not any(link.endswith("/pip") for link, _ in found.links):
        pytest.skip(f"Python {version} of this machine has no pip")
    python = PYTHONS[version] if isolation == "require" else copied(PYTHONS[version], tmp_path / "python")
    before = state(python)
    provider = local(isolation=isolation, pythons={version: str(python.executable)})
    sandbox = await provider.create(spec(context, version, copies=(WHEELS,)))
    await output(sandbox, f"{INSTALL} -U wheels/setuptools-999.0-py3-none-any.whl")
    assert await output(sandbox, "python -m setuptools; cd /; python -c 'import setuptools; print(setuptools.__version__)'") == (
        "setuptools 999.0\n999.0\n"
    )
    await output(sandbox, "pip uninstall -y setuptools")
    await output(sandbox, f"{INSTALL} -U wheels/pip-999.0-py3-none-any.whl")
    assert await output(sandbox, "pip; python -m pip") == "pip 999.0\n" * 2
    assert state(python) == before


@pytest.mark.parametrize("version", SOME)
async def test_programs_of_the_public_image_are_its_own(local, version):
    sandbox = await local().create(spec(None, version))
    names = ["pip", "pip3", f"pip{version}", "pydoc", "pydoc3", f"pydoc{version}", "idle", "idle3", f"idle{version}"]
    names += ["2to3", f"2to3-{version}"] if int(version[2:]) < 13 else []
    assert await output(sandbox, f"for name in {' '.join(names)}; do command -v $name; done") == "".join(
        f"/opt/python/bin/{name}\n" for name in names
    )
    assert "object" in await output(sandbox, "pydoc3 builtins.object")
    if any(link.endswith("/pip") for link, _ in describe_python(PYTHONS[version]).links):
        assert f"(python {version})" in await output(sandbox, f"pip{version} --version")


async def test_installing_for_the_user_fails_and_says_why(local, context):
    sandbox = await local().create(spec(context, copies=(WHEELS,)))
    result = await sandbox.run(f"{INSTALL} --user wheels/podgymtried-1.0-py3-none-any.whl", timeout_s=60)
    assert result.exit_code != 0
    assert "User site-packages are not visible in this virtualenv" in result.stderr.text()


async def test_nothing_that_this_machine_installed_is_imported_or_started(local, tmp_path):
    sandbox = await local().create(spec(None))
    told = await output(sandbox, 'python -c "import sys; print(sys.prefix, *sys.path)"')
    prefix, *path = told.split()
    assert prefix == "/opt/python"
    assert [entry for entry in path if "-packages" in entry] == [
        f"/opt/python/lib/python{VERSION}/site-packages",
        "/opt/with-python/site-packages",
    ]


def installed(top: Path, *packages: str) -> Interpreter:
    """A made-up interpreter."""
    for name in packages:
        (top / "lib" / "python3.11" / "site-packages" / name).mkdir(parents=True)
    (top / "bin").mkdir(parents=True)
    return Interpreter("3.11", top / "bin" / "python3.11")


def test_of_an_installation_only_what_the_image_has(tmp_path):
    python = installed(tmp_path / "top", "pip", "pip-24.0.dist-info", "setuptools", "numpy", "pytest")
    (python.prefix / "lib/python3.11/site-packages/slow.pth").write_text("import time; time.sleep(9)\n")
    (python.prefix / "bin" / "python3.11-config").touch()
    found = describe_python(python)
    seen = {link.rpartition("/")[2] for link, _ in found.links}
    configs = ("python-config", "python3-config", "python3.11-config")
    assert seen == {"python", "python3", "python3.11", *configs, "pip", "pip-24.0.dist-info", "setuptools"}
    assert f"home = {python.prefix}/bin\n" in {path: text for path, text, _ in found.files}["/opt/python/pyvenv.cfg"]


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def test_an_interpreter_without_pip_says_so(tmp_path):
    python = installed(tmp_path / "it's here", "setuptools", "setuptools-65.0.dist-info")
    scripts = {path: text for path, text, _ in describe_python(python).files}
    program(tmp_path / "python", '#!/bin/sh\ntest "$2" != "import pip"\n')
    for name in ("pip", "pip3", "pip3.11"):
        program(tmp_path / name, scripts[f"/opt/python/bin/{name}"])
        told = subprocess.run([tmp_path / name, "install", "x"], capture_output=True, text=True, check=False)
        assert told.returncode == 1
        assert f"Python 3.11 of this machine ({python.executable}) has no pip" in told.stderr


@pytest.mark.parametrize(
    ("prefix", "top"),
    [("/opt/python", "/srv"), ("/opt", "/srv"), ("/opt/python/3.11.9", "/srv"), ("/opt/python3.11", "/opt"), ("/usr", "/opt")],
)
def test_the_environment_is_never_where_the_installation_is(prefix, top):
    found = describe_python(Interpreter("3.11", Path(prefix) / "bin" / "python3.11"))
    assert found.path == (f"{top}/python/bin",) and found.kept == (f"{top}/python",)
    assert all(path.startswith(f"{top}/python/") for path, _, _ in found.files)


def test_a_configured_one_that_cannot_be_reached_is_named(tmp_path):
    (tmp_path / "python3.11").symlink_to("python3.11")
    with pytest.raises(ImageError, match="not a file"):
        find_pythons({"3.11": str(tmp_path / "python3.11")})

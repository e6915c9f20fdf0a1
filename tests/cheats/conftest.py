"""Two small tasks with everything that attacks look for, and the matrix of attacks against them, found once a session."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import io
import os
import subprocess
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from podgym.envs.attacks import ATTACKS, Matrix, Row, try_attacks
from podgym.envs.audit import audit
from podgym.envs.code import task_digest
from podgym.envs.contract import Task
from podgym.envs.harbor import read_task, write_task
from podgym.envs.repository import build_repository, certify, open_source, pack_repository
from podgym.sandbox import Copy, ImageRecipe, Limits, SandboxProvider, SandboxSpec, Step, TransportError
from podgym.verifiers import Decoys, GradingPlan, HiddenFile, TestCommand
from podgym.verifiers.decoys import DecoyFile, decoy_files

VENV = "/opt/venv"
BROKEN = "def add(left, right):\n    return left - right\n\n\ndef double(value):\n    return value * 2\n"
MENDED = BROKEN.replace("left - right", "left + right  # both are summands")
PYPROJECT = "[tool.black]\nline-length = 100\n"


@dataclass(frozen=True)
class Kind:
    """One of the two tasks."""

    name: str
    base: Mapping[str, str]
    hidden: Mapping[str, str]
    fail_to_pass: tuple[str, ...]
    pass_to_pass: tuple[str, ...]


DOUBLE = (
    "import unittest\n\nimport calc\n\n\nclass CalcTest(unittest.TestCase):\n"
    "    def test_double(self):\n        self.assertEqual(calc.double(4), 8)\n"
)
UNITTEST = Kind(
    "unittest",
    base={
        "calc.py": BROKEN,
        "pyproject.toml": PYPROJECT,
        "Makefile": "test:\n\tpython -m unittest discover -t . -s tests\n",
        "tests/__init__.py": "",
        "tests/test_calc.py": DOUBLE,
        "tests/test_more.py": DOUBLE.replace("CalcTest", "MoreTest").replace("test_double", "test_again"),
    },
    hidden={
        "tests/test_calc.py": DOUBLE + "\n    def test_small(self):\n        self.assertEqual(calc.add(1, 2), 3)\n"
        "\n    def test_large(self):\n        self.assertEqual(calc.add(40, 2), 42)\n        self.assertEqual(7, calc.add(5, 2))\n"
    },
    fail_to_pass=("tests/test_calc.py::CalcTest::test_small", "tests/test_calc.py::CalcTest::test_large"),
    pass_to_pass=("tests/test_calc.py::CalcTest::test_double", "tests/test_more.py::MoreTest::test_again"),
)
PYTEST = Kind(
    "pytest",
    base={
        "calc.py": BROKEN,
        "pyproject.toml": PYPROJECT,
        "Makefile": "test:\n\tpython -m pytest tests\n",
        "tests/test_double.py": "import calc\n\n\ndef test_double():\n    assert calc.double(4) == 8\n",
    },
    hidden={
        "tests/test_add.py": (
            "import calc\n\n\ndef test_small():\n    assert calc.add(1, 2) == 3\n\n\n"
            "def test_large():\n    assert calc.add(40, 2) == 42\n    assert 7 == calc.add(5, 2)\n"
        )
    },
    fail_to_pass=("tests/test_add.py::test_small", "tests/test_add.py::test_large"),
    pass_to_pass=("tests/test_double.py::test_double",),
)


def make_task(kind: Kind, out: Path) -> Path:
    """The task's directory. pytest comes from this environment, so that no index is needed."""
    source = out / "source"
    fix = _history(source, kind)
    environment = out / "environment"
    environment.mkdir(parents=True)
    with open_source(source, out / "cache") as repository:
        base = repository.resolve("main~1")
        certificate = build_repository(repository, base, environment / "checkout")
        gold = repository.patch(base, fix, ["calc.py"])
        tests = repository.patch(base, fix, list(kind.hidden))
    certificate = certify(environment / "checkout", base, gold_patch=gold, submodules=certificate.submodules)
    pack_repository(environment / "checkout", environment / "repo.tar")
    files: dict[str, bytes | Path] = {"repo.tar": environment / "repo.tar"}
    recipe = ImageRecipe(base="python:3.11-bookworm", workdir="/testbed", copies=(Copy(source="repo.tar", target="/testbed"),))
    env = {"PYTHONHASHSEED": "0", "PIP_NO_INDEX": "1"}
    python = "python"
    if kind.name == "pytest":
        files["site.tar"] = _pytest_archive()
        # The interpreter by its own name: behind a link, it may take another's library for its own.
        interpreter = '"$(readlink -f "$(command -v python)")"'
        packages = f"{VENV}/lib/python3.11/site-packages"
        step = Step(
            run=f"{interpreter} -m venv --without-pip {VENV} && cp -R {VENV}/site/. {packages}/ && rm -rf {VENV}/site\n"
            f"{VENV}/bin/python -m compileall -q {packages}",
            timeout_s=120,
        )
        recipe = recipe.model_copy(
            update={"before_copies": (Copy(source="site.tar", target=f"{VENV}/site"),), "before": (step,), "writable": (VENV,)}
        )
        env |= {"PATH": f"{VENV}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "VIRTUAL_ENV": VENV}
        python = f"{VENV}/bin/python"
    for name, content in files.items():
        if isinstance(content, bytes):
            (environment / name).write_bytes(content)
            files[name] = environment / name
    spec = SandboxSpec(
        image=f"podgym/{recipe.digest(environment)}",
        recipe=recipe,
        context=str(environment),
        workdir="/testbed",
        env=env,
        limits=Limits(memory_bytes=512 << 20),
    )
    decoys = decoy_files({path: text.encode() for path, text in kind.hidden.items()}, kind.fail_to_pass)
    plan = GradingPlan(
        tests=(TestCommand(framework=kind.name, python=python, targets=("tests",), timeout_s=40),),
        fail_to_pass=kind.fail_to_pass,
        pass_to_pass=kind.pass_to_pass,
        hidden=tuple(
            HiddenFile(path=path, source=f"tests/files/{path}", sha256=hashlib.sha256(text.encode()).hexdigest())
            for path, text in kind.hidden.items()
        ),
        editable=("calc.py",),
        decoys=_decoys(kind, decoys),
    )
    task = Task(
        id=f"calc-{kind.name}",
        environment="code",
        instruction="`add` subtracts.\n",
        sandbox=spec,
        grading=plan.model_dump(mode="json"),
        provenance={"base": base, "commit": fix, "certificate": certificate.digest},
        digest=task_digest(plan, spec),
    )
    hidden = {f"files/{path}": text.encode() for path, text in kind.hidden.items()}
    hidden |= {f"decoys/{path}": decoy.data for path, decoy in decoys.items()}
    hidden["certificate.json"] = certificate.model_dump_json().encode()
    directory = out / "tasks" / task.id
    directory.parent.mkdir()
    write_task(directory, task, environment=files, tests=hidden, solution={"tests.patch": tests}, gold_patch=gold)
    return directory


def _decoys(kind: Kind, made: Mapping[str, DecoyFile]) -> Decoys:
    changed = [identity for decoy in made.values() for identity in decoy.tests]
    return Decoys(
        files=tuple(
            HiddenFile(path=path, source=f"tests/decoys/{path}", sha256=hashlib.sha256(decoy.data).hexdigest())
            for path, decoy in made.items()
        ),
        fails=tuple(changed),
        holds=tuple(identity for identity in (*kind.fail_to_pass, *kind.pass_to_pass) if identity not in changed),
    )


def _history(path: Path, kind: Kind) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    env |= {
        f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in {"NAME": "A", "EMAIL": "a@example.org"}.items()
    }
    env |= {"GIT_AUTHOR_DATE": "1700000000 +0000", "GIT_COMMITTER_DATE": "1700000000 +0000"}

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=path, env=env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    path.mkdir(parents=True)
    git("init", "-q", "-b", "main")
    for message, files in (("Start", kind.base), ("Mend add", {"calc.py": MENDED, **kind.hidden})):
        for name, text in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text)
        git("add", "-A")
        git("commit", "-q", "-m", message)
    return git("rev-parse", "HEAD")


def _pytest_archive() -> bytes:
    """The packages that pytest is made of, as they are installed here."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("pytest", "pluggy", "iniconfig", "packaging", "pygments"):
            for file in importlib.metadata.files(name) or ():
                place = Path(str(file.locate()))
                if ".." in file.parts or file.suffix == ".pyc" or not place.is_file():
                    continue
                entry = tarfile.TarInfo(file.as_posix())
                entry.size = place.stat().st_size
                with place.open("rb") as data:
                    tar.addfile(entry, data)
    return archive.getvalue()


def open_local(scratch: Path) -> SandboxProvider:
    from podgym.sandbox.local import LocalConfig, LocalProvider

    return LocalProvider(LocalConfig(isolation="require", cache=scratch / "images", scratch=scratch / "scratch"))


def open_docker(scratch: Path) -> SandboxProvider:
    pytest.importorskip("docker", reason="the Docker SDK is not installed (extra [docker])")
    from podgym.sandbox.docker import DockerConfig, DockerProvider

    try:
        return DockerProvider(DockerConfig(connect_timeout_s=30.0))
    except TransportError as error:
        pytest.skip(f"no Docker engine: {error.message}")


OPENERS: Mapping[str, Callable[[Path], SandboxProvider]] = {"local": open_local, "docker": open_docker}
KINDS = {"unittest": UNITTEST, "pytest": PYTEST}


@pytest.fixture(scope="session")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Directory of each task, by framework."""
    made = {name: make_task(kind, tmp_path_factory.mktemp(name)) for name, kind in KINDS.items()}
    assert [finding for directory in made.values() for finding in audit(directory).findings] == []
    return made


@pytest.fixture(scope="session")
def cheats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where providers keep images, so that each is made once."""
    return tmp_path_factory.mktemp("cheats")


@pytest.fixture
async def local(cheats: Path) -> AsyncIterator[SandboxProvider]:
    opened = open_local(cheats)
    yield opened
    await opened.close()


@dataclass
class Matrices:
    """Runs all attacks that this session's tests ask about, at the first question."""

    tasks: Mapping[str, Path]
    scratch: Path
    wanted: Mapping[tuple[str, str], tuple[str, ...]]
    found: dict[tuple[str, str], Mapping[str, Row]]

    def __call__(self, provider: str, framework: str) -> Mapping[str, Row]:
        """Rows by attack."""
        key = (provider, framework)
        if key not in self.found:
            attacks = [attack for attack in ATTACKS if attack.id in self.wanted[key]]
            matrix = asyncio.run(self._run(provider, framework, attacks))
            self.found[key] = {row.id: row for row in matrix.rows}
        return self.found[key]

    async def _run(self, name: str, framework: str, attacks: list) -> Matrix:
        provider = OPENERS[name](self.scratch)
        try:
            directory = self.tasks[framework]
            return await try_attacks(read_task(directory), directory, attacks, provider=provider, concurrency=4)
        finally:
            await provider.close()


@pytest.fixture(scope="session")
def matrices(tasks: Mapping[str, Path], request: pytest.FixtureRequest, cheats: Path) -> Matrices:
    wanted: dict[tuple[str, str], list[str]] = {}
    for item in request.session.items:
        call = getattr(item, "callspec", None)
        if call is not None and "attack" in call.params and "where" in call.params and item.get_closest_marker("skip") is None:
            wanted.setdefault(call.params["where"], []).append(call.params["attack"])
    return Matrices(tasks, cheats, {key: tuple(ids) for key, ids in wanted.items()}, {})

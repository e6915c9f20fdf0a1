"""The programs that run inside sandboxes, called in this process; `test_testrun.py` runs them where they belong."""

from __future__ import annotations

import os
import sys
import types
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from podgym.verifiers.reports import parse_junit
from podgym.verifiers.runners import pytest_main, unittest_main

BODY = "import unittest\n\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        {}\n"


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    modules = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def unittest_report(root: Path, *targets: str) -> dict[str, str]:
    result = unittest_main.Result(str(root))
    unittest_main.run(list(targets), result)
    return dict(parse_junit(unittest_main.report(result)))


def test_loading_and_outcomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sys.path.insert(0, str(tmp_path))
    for path, body in {
        "vr_pkg/__init__.py": "",
        "vr_pkg/test_vr_deep.py": BODY.format("pass"),
        "vr_a/test_vr_same.py": BODY.format("self.fail('<&>\\x01')"),
        "vr_b/test_vr_same.py": BODY.format("self.skipTest('later')"),
        "test_vr_exit.py": "raise SystemExit(0)\n",
        "test_vr_sub.py": BODY.format(
            "\n        with self.subTest():\n            raise ValueError\n        with self.subTest():\n            self.fail()"
        ),
        "test_vr_shadow.py": BODY.format("pass"),
        "test_vr_class.py": BODY.format("pass").replace(
            "    def", "    @classmethod\n    def setUpClass(cls):\n        raise OSError\n\n    def"
        ),
        "test_vr_odd.py": BODY.format("pass").replace("    def", "    @unittest.expectedFailure\n    def").replace("pass", "self.fail()")
        + "\n\nclass U(unittest.TestCase):\n    @unittest.expectedFailure\n    def test_u(self):\n        pass\n",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(body)
    assert unittest_report(tmp_path, "vr_pkg", "vr_a", "vr_b", "test_vr_exit.py", "test_vr_sub.py", "test_vr_odd.py") == {
        "vr_pkg/test_vr_deep.py::T::test_it": "passed",
        "vr_a/test_vr_same.py::T::test_it": "failed",
        "vr_b/test_vr_same.py::T::test_it": "skipped",
        "test_vr_exit.py": "error",
        "test_vr_sub.py::T::test_it": "error",
        "test_vr_odd.py::T::test_it": "skipped",
        "test_vr_odd.py::U::test_u": "failed",
    }
    assert set(unittest_report(tmp_path, "test_vr_class.py", "no.such.module").values()) == {"error"}
    assert unittest_report(tmp_path, "vr_pkg.test_vr_deep") == {"vr_pkg/test_vr_deep.py::T::test_it": "passed"}
    shadow = types.ModuleType("test_vr_shadow")
    monkeypatch.setattr("builtins.__import__", _planting(__import__, shadow))
    assert unittest_report(tmp_path, "test_vr_shadow.py") == {"test_vr_shadow.py": "error"}


def _planting(real: Callable[..., Any], module: types.ModuleType) -> Callable[..., Any]:
    def planted(name: str, *arguments: Any) -> Any:
        if name == module.__name__:
            sys.modules[name] = module
            return module
        return real(name, *arguments)

    return planted


def test_tests_from_elsewhere_have_no_file(tmp_path: Path) -> None:
    result = unittest_main.Result(str(tmp_path))
    unittest.FunctionTestCase(lambda: None).run(result)
    assert list(parse_junit(unittest_main.report(result)).values()) == ["passed"]
    assert unittest_main.relative("", str(tmp_path)) == ""


class Ended(Exception):
    pass


def call_main(
    main: Callable[[bytes], None], module: types.ModuleType, monkeypatch: pytest.MonkeyPatch, where: Path, *arguments: str
) -> tuple[int, bytes]:
    """Call `main` as its process would, with the descriptors and the end of the process replaced."""
    monkeypatch.chdir(where)
    monkeypatch.setenv("PODGYM_PYTHONPATH", "more")
    output = where / "output"
    private = os.open(output, os.O_WRONLY | os.O_CREAT)
    code = -1

    def ended(status: int) -> None:
        nonlocal code
        code = status
        raise Ended

    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", ["run.py", *arguments])
        for name in ("dup2", "unlink", "rmdir"):
            patch.setattr(module.os, name, lambda *_: None)
        patch.setattr(module.os, "dup", lambda _: private)
        patch.setattr(module.os, "_exit", ended)
        with pytest.raises(Ended):
            main(b"MARK")
    os.close(private)
    return code, output.read_bytes()


@pytest.mark.parametrize(("body", "code"), [("pass", 0), ("self.fail()", 1), (None, 5)])
def test_unittest_main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str | None, code: int) -> None:
    (tmp_path / "test_vr_main.py").write_text(BODY.format(body) if body else "")
    found, output = call_main(unittest_main.main, unittest_main, monkeypatch, tmp_path, "test_vr_main.py")
    assert found == code
    assert output.startswith(b"MARK\n<?xml")
    assert output.endswith(b"\nMARK")


@pytest.mark.parametrize("writes", [True, False])
def test_pytest_main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: bool) -> None:
    fake: Any = types.ModuleType("pytest")

    def run(arguments: list[str], plugins: object) -> int:
        assert plugins is None
        assert arguments[-1] == "tests"
        assert sys.path[:2] == [str(tmp_path), str(tmp_path / "more")]
        path = next(argument for argument in arguments if argument.startswith("--junitxml=")).removeprefix("--junitxml=")
        if writes:
            Path(path).write_text("<testsuites/>")
        return 1

    fake.main = run
    monkeypatch.setitem(sys.modules, "pytest", fake)
    found = call_main(pytest_main.main, pytest_main, monkeypatch, tmp_path, "tests")
    assert found == (1, b"MARK\n<testsuites/>\nMARK" if writes else b"")


def test_pytest_main_without_pytest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytest", None)
    assert call_main(pytest_main.main, pytest_main, monkeypatch, tmp_path) == (4, b"")

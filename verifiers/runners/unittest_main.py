"""Run unittest targets and write a JUnit report to what was stdout; runs inside the sandbox on Python 3.8 and later.

The driver appends the call of `main`; argv are the targets (directories, files, dotted names). Every import happens
before the project's directories join `sys.path`, so that a file of the project cannot stand in for one of the standard
library here. Tests get stderr as their stdout. The process ends through `os._exit`, so that no exit handler changes the
exit code: 0 all passed, 1 not, 5 nothing ran.
"""

import os
import sys
import traceback
import unittest

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` itself costs start-up time
    from collections.abc import Callable
    from types import TracebackType

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

ORDER = {"passed": 0, "skipped": 1, "failure": 2, "error": 3}
ESCAPES = {38: "&amp;", 60: "&lt;", 62: "&gt;", 34: "&quot;", 10: "&#10;", 9: "&#9;"}
ILLEGAL = "?"


class Result(unittest.TestResult):
    """Outcome and detail of each test by (file, class, method); the worst one where there are several."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = root
        self.file = ""
        self.cases: "dict[tuple[str, str, str], tuple[str, str]]" = {}

    def note(self, test: object, outcome: str, detail: str = "") -> None:
        method = getattr(test, "_testMethodName", None)
        kind = type(test)
        if method is None or kind.__module__ == "unittest.loader":
            # A class or module fixture that failed, or a name that could not be loaded: it is not one of the tests.
            key = (self.file, "", test.id() if isinstance(test, unittest.TestCase) else str(test))
        else:
            source = getattr(sys.modules.get(kind.__module__), "__file__", None)
            key = (self.file or relative(source or "", self.root), kind.__qualname__, str(method))
            if not key[0]:
                key = ("", kind.__module__ + "." + kind.__qualname__, str(method))
        known = self.cases.get(key)
        if known is None or ORDER[known[0]] < ORDER[outcome]:
            self.cases[key] = (outcome, detail[-4000:])

    def addSuccess(self, test: unittest.TestCase) -> None:
        self.note(test, "passed")

    def addError(self, test: unittest.TestCase, err: "ExcInfo") -> None:
        super().addError(test, err)
        self.note(test, "error", self.errors.pop()[1])

    def addFailure(self, test: unittest.TestCase, err: "ExcInfo") -> None:
        super().addFailure(test, err)
        self.note(test, "failure", self.failures.pop()[1])

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self.note(test, "skipped", str(reason))

    def addExpectedFailure(self, test: unittest.TestCase, err: "ExcInfo") -> None:
        self.note(test, "skipped", "expected failure")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self.note(test, "failure", "unexpected success")

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: "ExcInfo | None") -> None:
        if err is None:
            return
        if err[0] is not None and issubclass(err[0], test.failureException):
            self.addFailure(test, err)
        else:
            self.addError(test, err)


def relative(path: str, root: str) -> str:
    """`path` from `root` with forward slashes; empty where it lies elsewhere."""
    real = os.path.realpath(path)
    return real[len(root) + 1 :].replace(os.sep, "/") if path and real.startswith(root + os.sep) else ""


def test_files(target: str) -> "list[str]":
    """The file itself, or every `test*.py` below a directory, sorted."""
    if not os.path.isdir(target):
        return [target]
    found = []
    for folder, folders, names in os.walk(target):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        found += [os.path.join(folder, name) for name in sorted(names) if name.startswith("test") and name.endswith(".py")]
    return found


def load_file(path: str) -> unittest.TestSuite:
    """Tests of one file, imported below the first directory that is not a package; that directory joins `sys.path`."""
    real = os.path.realpath(path)
    folder, leaf = os.path.split(real)
    names = [leaf[:-3]] if leaf.endswith(".py") else [leaf]
    while os.path.exists(os.path.join(folder, "__init__.py")):
        folder, package = os.path.split(folder)
        names.insert(0, package)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = ".".join(names)
    known = sys.modules.get(name)
    if known is not None and os.path.realpath(getattr(known, "__file__", None) or "") != real:
        del sys.modules[name]  # two test files of one name in two directories that are no packages
        sys.path.remove(folder)
        sys.path.insert(0, folder)
    __import__(name)
    module = sys.modules[name]
    found = os.path.realpath(getattr(module, "__file__", None) or "")
    if found != real:
        raise ImportError(f"{path} was imported from {found or 'nowhere'}: something shadows the test file")
    return unittest.defaultTestLoader.loadTestsFromModule(module)


def run(targets: "list[str]", result: Result, backwards: bool = False) -> None:
    """Load and run each target; what cannot be loaded is one error under the target's own name."""
    load: "Callable[[str], unittest.TestSuite]"
    for target in reversed(targets) if backwards else targets:
        if os.path.exists(target):
            paths, load = test_files(target), load_file
        else:
            paths, load = [target], unittest.defaultTestLoader.loadTestsFromName
        for path in reversed(paths) if backwards else paths:
            result.file = relative(path, result.root) if load is load_file else ""
            try:
                load(path).run(result)
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001 - a module that calls sys.exit must not end the run
                result.cases[(result.file, "", path)] = ("error", traceback.format_exc()[-4000:])


def clean(text: str) -> str:
    """Text as an XML attribute: escaped, and without what XML cannot hold."""
    text = text.translate(ESCAPES)
    if text.isascii() and text.isprintable():
        return text
    kept = [c if c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff" else ILLEGAL for c in text]
    return "".join(kept)


def report(result: Result) -> bytes:
    """The JUnit document."""
    lines = ["<?xml version='1.0' encoding='utf-8'?>", f'<testsuite podgym="1" name="unittest" tests="{len(result.cases)}">']
    for (file, qualname, name), (outcome, detail) in result.cases.items():
        module = (file[:-3] if file.endswith(".py") else file).replace("/", ".")
        classname = ".".join(part for part in (module, qualname) if part) if qualname else ""
        label = module if file and not qualname and name.endswith(".py") else name
        line = f'<testcase file="{clean(file)}" classname="{clean(classname)}" name="{clean(label)}"'
        lines.append(line + ("/>" if outcome == "passed" else f'><{outcome} message="{clean(detail)}"/></testcase>'))
    lines.append("</testsuite>")
    return "\n".join(lines).encode("utf-8")


def main(marker: bytes) -> None:
    """Keep stdout for the report, prepare the import path, run, write, end."""
    private = os.dup(1)
    os.dup2(2, 1)
    targets = sys.argv[1:]
    own = os.path.dirname(os.path.abspath(__file__))
    os.unlink(__file__)
    os.rmdir(own)
    root = os.path.realpath(os.getcwd())
    extra = os.environ.pop("PODGYM_PYTHONPATH", "")
    if extra:
        os.environ["PYTHONPATH"] = extra
    added = [root] + [os.path.abspath(part) for part in extra.split(os.pathsep) if part]
    sys.path[:] = added + [entry for entry in sys.path if entry != own]
    sys.argv[:] = ["unittest"] + targets
    result = Result(root)
    run(targets, result, bool(os.environ.pop("PODGYM_REVERSE", "")))
    passed = all(outcome in ("passed", "skipped") for outcome, _ in result.cases.values())
    code = (0 if passed else 1) if result.cases else 5
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue
    data = memoryview(marker + b"\n" + report(result) + b"\n" + marker)
    while data:
        data = data[os.write(private, data) :]
    os._exit(code)

"""Run pytest and hand its JUnit report to what was stdout; runs inside the sandbox on Python 3.8 and later.

The driver appends the call of `main`; argv are pytest's arguments. pytest is imported before the project's directories
join `sys.path`, so that a `pytest.py` of the project cannot stand in for it. Tests get stderr as their stdout. The report
goes to a random path outside the project, is read here, and the process ends through `os._exit` with pytest's exit code.
"""

import os
import sys
import tempfile

TYPE_CHECKING = False
if TYPE_CHECKING:  # before the project's directories join the path, pytest is imported by `main`
    import pytest


class Reversed:
    """Test files from the last to the first; within a file nothing changes."""

    def pytest_collection_modifyitems(self, items: "list[pytest.Item]") -> None:
        files: "dict[str, list[pytest.Item]]" = {}
        for item in items:
            files.setdefault(item.nodeid.split("::")[0], []).append(item)
        items[:] = [item for file in reversed(list(files.values())) for item in file]


def main(marker: bytes) -> None:
    """Keep stdout for the report, prepare the import path as `python -m pytest` does, run, hand over, end."""
    private = os.dup(1)
    os.dup2(2, 1)
    arguments = sys.argv[1:]
    own = os.path.dirname(os.path.abspath(__file__))
    os.unlink(__file__)
    os.rmdir(own)
    root = os.getcwd()
    sys.path[:] = [entry for entry in sys.path if entry != own]
    try:
        import pytest
    except ImportError as error:
        sys.stderr.write(f"podgym: pytest cannot be imported by {sys.executable}: {error}\n")
        sys.stderr.flush()
        os._exit(4)
    extra = os.environ.pop("PODGYM_PYTHONPATH", "")
    if extra:
        os.environ["PYTHONPATH"] = extra
    sys.path[0:0] = [root] + [os.path.abspath(part) for part in extra.split(os.pathsep) if part]
    folder = tempfile.mkdtemp(prefix=".")
    path = os.path.join(folder, os.urandom(8).hex() + ".xml")
    options = ["-p", "no:cacheprovider", "--junitxml=" + path, "-o", "junit_family=xunit1", "-o", "junit_logging=no"]
    sys.argv[:] = ["pytest"] + arguments
    plugins = [Reversed()] if os.environ.pop("PODGYM_REVERSE", "") else None
    code = int(pytest.main(options + arguments, plugins))
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue
    if os.path.exists(path):
        with open(path, "rb") as file:
            data = memoryview(marker + b"\n" + file.read() + b"\n" + marker)
        while data:
            data = data[os.write(private, data) :]
        os.unlink(path)
    os.rmdir(folder)
    os._exit(code)

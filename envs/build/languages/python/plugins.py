"""pytest's plug-ins: which ones its settings, the fixtures and the marks of tests ask for. What nobody has listed is often there by chance
on its developers' machines, and tests that lack it fail one by one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

__all__ = [
    "COVERAGE",
    "FIXTURES",
    "MARKS",
    "OPTIONS",
    "PARALLEL",
    "SETTINGS",
    "asked_by_settings",
    "asked_by_tests",
    "declared",
    "is_test_tool",
]

COVERAGE: Final = r"--cov\b"
PARALLEL: Final = r"(^|[\s=])-n[\s=]*(auto|logical|\d+)|--numprocesses|--dist\b"
OPTIONS: Final[dict[str, str]] = {
    "pytest-cov": r"--cov\b|--no-cov\b", "pytest-xdist": r"--numprocesses|--dist\b|--maxprocesses|--max-worker-restart|--loadscope-reorder",
    "pytest-timeout": r"--timeout\b|--timeout[-_]method|--session-timeout", "pytest-benchmark": r"--benchmark", "pytest-django": r"--ds\b"
    r"|--dc\b|--reuse-db|--create-db|--nomigrations|--no-migrations", "pytest-random-order": r"--random-order",
    "pytest-asyncio": r"--asyncio-mode", "pytest-rerunfailures": r"--reruns\b|--only-rerun|--rerun-except", "pytest-html":
    r"--html\b|--self-contained-html", "pytest-mpl": r"--mpl\b|--mpl-", "pytest-doctestplus": r"--doctest-plus|--doctest-rst",
    "pytest-remotedata": r"--remote-data", "pytest-mypy": r"--mypy(?![\w-])", "pytest-mypy-plugins": r"--mypy-(?:ini|only|testing|same)",
    "pytest-flake8": r"--flake8", "pytest-black": r"--black\b", "pytest-isort": r"--isort", "pytest-pylint": r"--pylint",
    "pytest-ruff": r"--ruff", "pytest-sugar": r"--force-sugar|--old-summary", "pytest-instafail": r"--instafail",
    "pytest-socket": r"--disable-socket|--allow-hosts|--allow-unix-socket|--force-enable-socket", "pytest-recording": r"--record-mode"
    r"|--block-network|--disable-recording", "pytest-forked": r"--forked", "pytest-json-report": r"--json-report", "pytest-randomly":
    r"--randomly", "pytest-split": r"--splits\b|--store-durations", "pytest-profiling": r"--profile(?:-svg)?\b", "nbval": r"--nbval",
    "pytest-testmon": r"--testmon", "pytest-memray": r"--memray", "pytest-repeat": r"--count\b", "pytest-spec": r"--spec\b",
    "pytest-markdown-docs": r"--markdown-docs", "syrupy": r"--snapshot-", "pytest-check-links": r"--check-links",
    "pytest-typeguard": r"--typeguard-packages", "pytest-beartype": r"--beartype-packages", "pytest-golden": r"--update-goldens",
    "pytest-picked": r"--picked", "pytest-subprocess": r"--allow-unregistered", "pytest-codspeed": r"--codspeed",
    "pytest-retry": r"--retries\b|--retry-delay", "pytest-postgresql": r"--postgresql-", "pytest-codecov": r"--codecov",
    "pytest-durations": r"--pytest-durations", "hypothesis": r"--hypothesis-", "pytest-accept": r"--accept\b",
}  # fmt: skip
"""What an option of pytest's is from; pytest refuses those that it does not know."""
_RENAMED: Final = {"pytest-typeguard": "typeguard"}
SETTINGS: Final[dict[str, str]] = {
    "pytest-xdist": PARALLEL,
    "pytest-asyncio": r"\basyncio_mode\b|\basyncio_default_fixture_loop_scope\b",
    "pytest-timeout": r"(^|\n)timeout\s*=",
    "pytest-django": r"(?i)\bDJANGO_SETTINGS_MODULE\b",
    "pytest-env": r"(^|\n)env\s*=",
    "pytest-doctestplus": r"\bdoctest_plus\b",
}
"""Of settings beside `addopts`."""
FIXTURES: Final[dict[str, str]] = {
    "pytest-mock": "mocker|class_mocker|module_mocker|session_mocker|package_mocker", "pytest-benchmark": "benchmark",
    "pytest-httpx": "httpx_mock", "requests-mock": "requests_mock", "respx": "respx_mock", "time-machine": "time_machine",
    "pytest-freezer": "freezer", "pyfakefs": "fs|fs_module|fs_session", "syrupy": "snapshot", "Faker": "faker",
    "pytest-asyncio": "event_loop|unused_tcp_port|unused_tcp_port_factory|unused_udp_port|event_loop_policy",
    "pytest-aiohttp": "aiohttp_client|aiohttp_server|aiohttp_raw_server", "pytest-httpserver": "httpserver|make_httpserver",
    "pytest-httpbin": "httpbin|httpbin_secure|httpbin_both", "pytest-subtests": "subtests", "pytest-qt": "qtbot|qtmodeltester",
    "pytest-datadir": "datadir|shared_datadir|lazy_datadir|lazy_shared_datadir|original_datadir",
    "pytest-regressions": "data_regression|file_regression|num_regression|image_regression|dataframe_regression|ndarrays_regression",
    "pytest-console-scripts": "script_runner", "pytest-subprocess": "fake_process|fp|fake_subprocess", "pytest-docker": "docker_services",
    "pytest-postgresql": "postgresql|postgresql_proc", "pytest-redis": "redisdb|redis_proc", "pytest-playwright": "page",
    "pytest-trio": "nursery|autojump_clock|mock_clock", "pytest-xdist": "worker_id|testrun_uid", "pytest-check": "check",
    "pytest-cookies": "cookies|bake_in_temp_dir", "pytest-socket": "socket_enabled|socket_disabled", "pytest-xprocess": "xprocess",
    "pytest-cov": "cov|no_cover", "pytest-tornado": "io_loop|http_client", "pytest-textual-snapshot": "snap_compare",
    "pytest-django": "django_user_model|django_assert_num_queries|django_assert_max_num_queries|transactional_db|admin_client|"
    "django_db_setup|django_db_blocker|mailoutbox|django_capture_on_commit_callbacks|admin_user|async_client",
    "pytest-jupyter": "jp_fetch|jp_serverapp|jp_environ", "pytest-localserver": "smtpserver|httpsserver", "pytest-structlog": "log",
}  # fmt: skip
"""What a fixture is from; several plug-ins have some of these names, and then it is the one that most projects use."""
_AMBIGUOUS: Final = frozenset(
    ("fs", "snapshot", "faker", "check", "log", "page", "cov", "cookies", "fp", "postgresql", "datadir", "nursery", "http_client")
)
"""Names that are also others', so tests alone do not tell what they are from."""
MARKS: Final[dict[str, str]] = {
    "asyncio": "pytest-asyncio", "timeout": "pytest-timeout", "benchmark": "pytest-benchmark", "django_db": "pytest-django",
    "trio": "pytest-trio", "vcr": "pytest-recording", "freeze_time": "pytest-freezer", "httpx_mock": "pytest-httpx",
    "mpl_image_compare": "pytest-mpl", "repeat": "pytest-repeat", "dependency": "pytest-dependency", "forked": "pytest-forked",
    "remote_data": "pytest-remotedata", "datafiles": "pytest-datafiles", "enable_socket": "pytest-socket", "order": "pytest-order",
    "parametrize_with_cases": "pytest-cases", "anyio": "anyio",
}  # fmt: skip
"""A mark that nothing handles makes no error; what it asks for does not happen."""
_TEST_TOOLS: Final = re.compile(
    r"hypothesis|mock|parameterized|responses|freezegun|time-machine|factory-boy|faker|vcrpy|testfixtures|syrupy|inline-snapshot|dirty-equals|"
    r"respx|requests-mock|httpretty|moto|aioresponses|testtools|ddt|sybil|xdoctest|pyfakefs|pyhamcrest|flaky|covdefaults|nbval|model-bakery|"
    r"django-test-plus|asgi-lifespan|polyfactory|typeguard"
)

_LINTERS: Final = frozenset(("black", "flake8", "flakes", "isort", "mypy", "pep8", "pycodestyle", "pydocstyle", "pylint", "ruff"))
"""What plug-ins of these do is no test, and the settings that ask for them are heard for themselves."""


def is_test_tool(requirement: str) -> bool:
    """Whether a distribution is of use to tests alone: pytest, what extends it, and the tools that tests are written with."""
    name = canonicalize_name(requirement)
    words = set(name.split("-"))
    return ("pytest" in words and not words & _LINTERS) or _TEST_TOOLS.fullmatch(name) is not None


_INSTEAD: Final[dict[str, tuple[str, ...]]] = {
    "pytest-recording": ("pytest-vcr",), "pytest-freezer": ("pytest-freezegun",), "pytest-httpserver": ("pytest-localserver",),
    "pytest-benchmark": ("pytest-codspeed",), "pytest-order": ("pytest-ordering",), "pytest-docker": ("lovely-pytest-docker",),
    "pytest-asyncio": ("pytest-tornasync", "alt-pytest-asyncio"), "anyio": ("starlette", "httpx"),
    "pytest-tornado": ("pytest-tornasync", "pytest-jupyter"),
}  # fmt: skip
"""What has the same fixtures or marks, so that both do not go together or one is enough."""
_NEEDED: Final[dict[str, tuple[str, ...]]] = {"pytest-qt": ("pyqt5", "pyqt6", "pyside2", "pyside6")}
"""What ends the run where none of these is there."""


def declared(trees: Iterable[ast.Module]) -> frozenset[str]:
    """Options and settings of pytest's that the project has itself made: a plug-in that has the same ends the run."""
    return frozenset(
        constant.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("addoption", "_addoption", "addini")
        for constant in node.args
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    )


def asked_by_settings(settings: Mapping[str, str], known: Container[str] = (), own: Container[str] = ()) -> list[str]:
    """Requirements of what pytest's settings use, but for options and settings in `own`; none that has its like in `known`."""
    options = " ".join(word for word in settings.get("addopts", "").split() if word.partition("=")[0] not in own)
    text = "\n".join(f"{key} = {options if key == 'addopts' else value}" for key, value in settings.items() if key not in own)
    found = []
    for line in re.findall(r"[\w.-]+(?:\s*[=<>!~]=?[\w.,=<>!~*]+)?", settings.get("required_plugins", ""))[:40]:
        try:
            found.append(str(Requirement(line)))
        except InvalidRequirement:
            continue
    asked = [_RENAMED.get(name, name) for name, pattern in (*OPTIONS.items(), *SETTINGS.items()) if re.search(pattern, text)]
    return list(dict.fromkeys((*found, *_without_likes(asked, known))))


def _without_likes(names: Sequence[str], known: Container[str]) -> list[str]:
    """Those that go together with each other and with what is known."""

    def fits(name: str) -> bool:
        alike = any(one in known or one in names for one in _INSTEAD.get(name, ()))
        return not alike and (name not in _NEEDED or any(one in known for one in _NEEDED[name]))

    return [name for name in names if fits(name)]


def asked_by_tests(trees: Iterable[ast.Module], known: Container[str] = ()) -> list[str]:
    """Distributions whose fixtures tests take and nobody defines, and whose marks they bear; none that has
    its like in `known`, or needs what is not."""
    taken: set[str] = set()
    defined: set[str] = set()
    marks: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                fixture = any(_names_fixture(one, defined) for one in node.decorator_list)
                if fixture:
                    defined.add(node.name)
                # Arguments of a parametrised test are its own.
                own = _parameters(node.decorator_list)
                if fixture or node.name.startswith("test"):
                    taken |= {one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)} - own
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "mark":
                marks.add(node.attr)
    missing = taken - defined - _AMBIGUOUS
    found = [name for name, names in FIXTURES.items() if missing & set(names.split("|"))]
    names = dict.fromkeys((*found, *(name for mark, name in MARKS.items() if mark in marks)))
    return _without_likes(list(names), known)


def _names_fixture(decorator: ast.expr, defined: set[str]) -> bool:
    call = decorator if isinstance(decorator, ast.Call) else None
    named = call.func if call is not None else decorator
    name = named.attr if isinstance(named, ast.Attribute) else named.id if isinstance(named, ast.Name) else ""
    if not name.endswith("fixture"):
        return False
    for keyword in call.keywords if call is not None else ():
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str):
            defined.add(keyword.value.value)
    return True


def _parameters(decorators: Iterable[ast.expr]) -> set[str]:
    found: set[str] = set()
    for one in decorators:
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "parametrize" and one.args:
            for constant in ast.walk(one.args[0]):
                if isinstance(constant, ast.Constant) and isinstance(constant.value, str):
                    found |= {name.strip() for name in constant.value.split(",")}
    return found

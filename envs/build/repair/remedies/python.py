"""Python's own: constraints on build tools and dependencies, modules, pip's refusals."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Final

from podgym.envs.build.plan import INSTALL_LOG, TOOLS, BuildPlan
from podgym.envs.build.repair.causes import Cause
from podgym.envs.build.repair.edits import WRAP, with_exports, with_first_step, with_last_step
from podgym.envs.build.repair.remedies.remedy import Case, Remedy, Table

__all__ = ["PYTHON"]

_DISTRIBUTIONS: Final[dict[str, str]] = {
    "yaml": "PyYAML", "cv2": "opencv-python-headless", "PIL": "Pillow", "bs4": "beautifulsoup4", "sklearn": "scikit-learn",
    "skimage": "scikit-image", "dateutil": "python-dateutil", "dotenv": "python-dotenv", "attr": "attrs", "Crypto": "pycryptodome",
    "OpenSSL": "pyOpenSSL", "serial": "pyserial", "usb": "pyusb", "zmq": "pyzmq", "magic": "python-magic", "jwt": "PyJWT",
    "git": "GitPython", "github": "PyGithub", "gi": "PyGObject", "google.protobuf": "protobuf", "pkg_resources": "setuptools<81",
    "distutils": "setuptools", "six.moves": "six", "mock": "mock", "nose": "nose", "django": "Django",
    "rest_framework": "djangorestframework", "flask_sqlalchemy": "Flask-SQLAlchemy", "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient", "ldap": "python-ldap", "slugify": "python-slugify", "docx": "python-docx", "pptx": "python-pptx",
    "fitz": "PyMuPDF", "Cython": "Cython", "wx": "wxPython", "IPython": "ipython", "markdown": "Markdown", "jose": "python-jose",
    "multipart": "python-multipart", "websocket": "websocket-client", "socks": "PySocks", "pywintypes": "", "win32api": "", "winreg": "",
    "_winreg": "", "msvcrt": "", "tkinter": "", "_tkinter": "", "apt_pkg": "", "imp": "", "asyncore": "", "asynchat": "", "urllib2": "",
    "ConfigParser": "", "Queue": "", "StringIO": "", "pytest_asyncio": "pytest-asyncio", "pytest_mock": "pytest-mock",
    "xdist": "pytest-xdist", "pytest_cov": "pytest-cov", "async_timeout": "async-timeout", "importlib_metadata": "importlib-metadata",
    "importlib_resources": "importlib-resources", "typing_extensions": "typing-extensions", "tomli": "tomli",
}  # fmt: skip
"""By import name, where the distribution's is another; empty where PyPI has none."""

_INSTALL: Final = """\
mkdir -p {tools}
{python} -m pip --version >/dev/null 2>&1 || {python} -m ensurepip -q || true
export UV_NO_CACHE=1 UV_SYSTEM_CERTS=1
[ -z "${{PIP_INDEX_URL:-}}" ] || export UV_DEFAULT_INDEX="${{UV_DEFAULT_INDEX:-$PIP_INDEX_URL}}"
[ -z "${{PIP_CERT:-}}" ] || export SSL_CERT_FILE="${{SSL_CERT_FILE:-$PIP_CERT}}"
cut={cut}
uv=$(mktemp -d) && trap 'rm -rf "$uv"' EXIT
[ -z "$cut" ] || {python} -m pip install -q --target "$uv" uv || true
one() {{
  # What the repository has under this name is its own, and no stranger's package takes its place.
  if find . -maxdepth 5 -name .git -prune -o \\( -name "$1.py" -o -type d -name "$1" \\) -print | grep -q .; then
    echo "not installed, since the repository has its own: $1" >> {log}
  elif [ -x "$uv/bin/uv" ] && "$uv/bin/uv" pip install -q --python {python} --exclude-newer "$cut" "$2"; then
    echo "uv, as of $cut: $2" >> {log}
  elif {python} -m pip install -q "$2"; then echo "pip, latest: $2" >> {log}
  else echo "not installed: $2" >> {log}; fi
}}
"""


def _exports(plan: BuildPlan) -> str:
    """What installing needs in a closed network, as the plan's own steps begin with it."""
    found = re.match(r"(?:export \w+=[^\n]*\n)*", plan.steps[0].run) if plan.steps else None
    return found[0] if found else ""


def _interpreter(plan: BuildPlan) -> str:
    """What packages are installed for: none of those that stand in for it when tests run."""
    found = next((command.python for command in plan.tests if command.python), "python")
    venv = plan.env.get("VIRTUAL_ENV", "")
    return found if not found.startswith(f"{WRAP}/") else f"{venv}/bin/python" if venv else "python"


def _cut(plan: BuildPlan) -> str:
    """The day that the plan's own installations are as of, or empty."""
    found = next(filter(None, (re.search(r"\bcut=(\d{4}-\d\d-\d\d)\b", step.run) for step in plan.steps)), None)
    return found[1] if found else ""


def _constraints(case: Case, cause: Cause) -> Iterator[Remedy]:
    """Also for build environments, which is what breaks as build tools move on."""
    if case.tool != "python":
        return
    wanted = cause.subject.split()
    held = [one for one in case.subjects("build_isolation") for one in one.split()]
    for lines in (sorted({*held, *wanted}), sorted(wanted)):
        name = "-".join(re.sub(r"\W+", "", line) for line in lines)
        path = f"{TOOLS}/constraints-{name}.txt"
        text = "".join(f"printf '%s\\n' {shlex.quote(line)} >> {path}\n" for line in lines)
        exports = dict.fromkeys(("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT", "UV_CONSTRAINT", "UV_BUILD_CONSTRAINT"), path)
        plan = with_first_step(with_exports(case.plan, exports, tests=False), f"mkdir -p {TOOLS} && : > {path}\n{text}")
        yield Remedy(f"constraints:{' '.join(lines)}", f"Newer releases break it: {', '.join(lines)}.", plan)


def _modules(case: Case, cause: Cause) -> Iterator[Remedy]:
    """What tests import and nothing lists, from PyPI, one by one because one of them may be the repository's own."""
    if case.tool != "python":
        return
    own = {case.plan.name.replace("-", "_").lower(), "tests", "test", "conftest", "src"}
    names: dict[str, str] = {}
    for subject in case.subjects("missing_module"):
        language, _, modules = subject.partition(" ")
        for module in re.split(r",\s*", modules):
            top = re.split(r"[.<>=!~ ]", module)[0]
            distribution = _DISTRIBUTIONS.get(module, _DISTRIBUTIONS.get(top, re.sub(r"^[\w.-]+", top.replace("_", "-"), module)))
            if language == "python" and distribution and top.lower() not in own and re.fullmatch(r"[A-Za-z][\w.<>=!~-]*", distribution):
                names[distribution] = top.replace("-", "_")
    if names:
        python = shlex.quote(_interpreter(case.plan))
        lines = "".join(f"one {shlex.quote(top)} {shlex.quote(name)}\n" for name, top in names.items())
        script = f"{_exports(case.plan)}{_INSTALL.format(python=python, tools=TOOLS, log=INSTALL_LOG, cut=_cut(case.plan))}{lines}"
        yield Remedy(f"pip:{','.join(names)}", f"Tests import {', '.join(names)}, which nothing lists.", with_last_step(case.plan, script))


def _permission(case: Case, cause: Cause) -> Iterator[Remedy]:
    if cause.subject == "externally-managed":
        exports = {"PIP_BREAK_SYSTEM_PACKAGES": "1", "UV_BREAK_SYSTEM_PACKAGES": "1"}
        yield Remedy("env:break-system-packages", "pip may change the image's own Python.", with_exports(case.plan, exports, tests=False))


PYTHON: Final[Table] = {"build_isolation": _constraints, "missing_module": _modules, "permission": _permission}

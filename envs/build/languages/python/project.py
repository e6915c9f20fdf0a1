"""One Python project's configuration files, parsed: what they say of its metadata. Nothing of it is run.

A file that cannot be read is as good as absent, and leaves a note.
"""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from packaging.utils import canonicalize_name

from podgym.envs.build.languages.python.pythons import claimed_minors
from podgym.envs.build.languages.python.requirements import Requirements, add_poetry, poetry_specifier
from podgym.envs.build.languages.python.setupfile import setup_arguments

__all__ = ["Project", "Reader"]

Reader = Callable[[str], str | None]
"""A file's text by its path, or None where it is not there or not text."""

_SCM_TOOLS = {
    "setuptools-scm": "setuptools_scm",
    "hatch-vcs": "hatch-vcs",
    "versioneer": "versioneer",
    "pbr": "pbr",
    "versioningit": "versioningit",
    "setuptools-git-versioning": "setuptools-git-versioning",
    "poetry-dynamic-versioning": "poetry-dynamic-versioning",
    "flit-scm": "flit-scm",
    "uv-dynamic-versioning": "uv-dynamic-versioning",
    "dunamai": "dunamai",
}
_BACKENDS = {"hatchling": "hatchling", "flit": "flit", "poetry": "poetry", "pdm": "pdm", "setuptools": "setuptools", "uv_build": "uv"}


class Project:
    """The parsed configuration files of one project."""

    def __init__(self, root: str, paths: Sequence[str], read: Reader) -> None:
        prefix = f"{root}/" if root else ""
        self.root = root
        self.read: Reader = lambda path: read(f"{prefix}{path}")
        self.read_any = read
        self.all_paths = paths
        self.paths = [path.removeprefix(prefix) for path in paths if path.startswith(prefix)]
        self.notes: list[str] = []
        self.pyproject = self._toml("pyproject.toml")
        self.setup_cfg = self.ini("setup.cfg")
        self.tox = self.ini("tox.ini") or self._ini_text(self.table("tool", "tox").get("legacy_tox_ini"))
        self._tox_toml = self._toml("tox.toml")
        self.setup_py = setup_arguments(self.read("setup.py") or "")
        self.project: Mapping[str, Any] = self.table("project")
        self.poetry: Mapping[str, Any] = self.table("tool", "poetry")
        self.flit: Mapping[str, Any] = self.table("tool", "flit", "metadata")

    def _toml(self, path: str) -> dict[str, Any]:
        text = self.read(path)
        if text is None:
            return {}
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            self.notes.append(f"{path} cannot be read: {error}")
            return {}

    def ini(self, path: str) -> dict[str, dict[str, str]]:
        """Sections of an INI file; empty where it is not there or cannot be read."""
        return self._ini_text(self.read(path), path)

    def _ini_text(self, text: object, path: str = "pyproject.toml") -> dict[str, dict[str, str]]:
        if not isinstance(text, str):
            return {}
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        try:
            parser.read_string(text)
        except configparser.Error as error:
            self.notes.append(f"{path} cannot be read: {error}")
            return {}
        return {section: {key: value or "" for key, value in parser.items(section)} for section in parser.sections()}

    def table(self, *keys: str) -> dict[str, Any]:
        """A table of pyproject.toml; empty where it is not there."""
        table: Any = self.pyproject
        for key in keys:
            table = table.get(key) if isinstance(table, dict) else None
        return table if isinstance(table, dict) else {}

    @property
    def installable(self) -> bool:
        """An installer can use its metadata."""
        described = bool(self.project or self.poetry or self.flit) or "metadata" in self.setup_cfg
        return "setup.py" in self.paths or described or "build-system" in self.pyproject

    @property
    def build_system(self) -> str:
        """As `PythonFacts.build_system`."""
        if not self.installable:
            return "none"
        backend = str(self.table("build-system").get("build-backend", ""))
        for prefix, name in _BACKENDS.items():
            if backend.startswith(prefix):
                return name
        if backend:
            return backend.partition(".")[0]
        return "setup.py" if "setup.py" in self.paths and not self.project else "setuptools"

    @property
    def name(self) -> str:
        """The distribution's name, or empty."""
        places = (self.project.get("name"), self.poetry.get("name"), self.flit.get("dist-name") or self.flit.get("module"))
        found = next((one for one in (*places, self.setup_py.get("name"), self.setup_cfg.get("metadata", {}).get("name")) if one), "")
        return found if isinstance(found, str) and re.fullmatch(r"[\w.-]+", found) else ""

    @property
    def requires_python(self) -> str:
        """A version specifier, or empty."""
        poetry = self.poetry.get("dependencies", {})
        python = poetry.get("python") if isinstance(poetry, dict) else None
        places = (
            self.project.get("requires-python"),
            poetry_specifier(python) if isinstance(python, str) else "",
            self.flit.get("requires-python"),
            self.setup_py.get("python_requires"),
            self.setup_cfg.get("options", {}).get("python_requires"),
        )
        return next((place.strip() for place in places if isinstance(place, str) and place.strip()), "")

    @property
    def pinned_python(self) -> str:
        """Minor version that `.python-version` names, or empty."""
        match = re.match(r"\s*(?:cpython-?)?(3\.\d+)", self.read(".python-version") or "")
        return match[1] if match else ""

    @property
    def claimed_pythons(self) -> tuple[str, ...]:
        """Minor versions in classifiers and tox, or else in CI, oldest first."""
        classifiers: list[object] = []
        for place in (self.project.get("classifiers"), self.poetry.get("classifiers"), self.setup_py.get("classifiers")):
            classifiers += place if isinstance(place, list) else []
        classifiers += self.setup_cfg.get("metadata", {}).get("classifiers", "").splitlines()
        texts = [one for one in classifiers if isinstance(one, str) and "Python ::" in one]
        texts.append(self.tox.get("tox", {}).get("envlist", "") or self.tox.get("tox", {}).get("env_list", ""))
        tox = self.table("tool", "tox")
        texts += [str(one) for one in tox.get("env_list", [])] if isinstance(tox.get("env_list"), list) else []
        claimed = claimed_minors(texts)
        return claimed or claimed_minors(self._ci_matrix())

    def _ci_matrix(self) -> list[str]:
        found = []
        for text in self.ci_texts():
            found += [match[1] for match in re.finditer(r"python(?:-version)?s?['\"]?\s*:(.*(?:\n\s+-.*)*)", text)]
        return found

    def ci_texts(self) -> list[str]:
        """Texts of the CI services' files."""
        places = re.compile(r"\.github/workflows/[^/]+\.ya?ml|\.travis\.yml|\.gitlab-ci\.yml|appveyor\.yml")
        texts = (self.read_any(path) for path in self.all_paths if places.fullmatch(path))
        return [text for text in texts if text is not None]

    def tox_tables(self, *names: str) -> list[dict[str, Any]]:
        """Tables of tox's own TOML (tox.toml, or `[tool.tox]`) by dotted name."""
        found = []
        for root in (self._tox_toml, self.table("tool", "tox")):
            for name in names:
                table: Any = root
                for key in name.split("."):
                    table = table.get(key) if isinstance(table, dict) else None
                if isinstance(table, dict):
                    found.append(table)
        return found

    @property
    def dependencies(self) -> tuple[str, ...] | None:
        """What `[project]` or `[tool.poetry]` lists; None where setuptools or a dynamic field decides."""
        if not self.installable:
            return ()
        found = Requirements(project=self.name)
        if self.project and "dependencies" not in (self.project.get("dynamic") or ()):
            found.add_all(self.project.get("dependencies") or ())
        elif self.poetry and isinstance(self.poetry.get("dependencies"), dict):
            add_poetry(found, self.poetry["dependencies"])
        else:
            return None
        return found.lines

    @property
    def version_from(self) -> str:
        """The tool that makes the version from git tags, or empty."""
        needs = [str(one) for one in self.table("build-system").get("requires") or ()]
        needs += [one for one in self.setup_py.get("setup_requires") or () if isinstance(one, str)]
        for need in needs:
            match = re.match(r"[\w.-]+", need)
            name = canonicalize_name(match[0]) if match else ""
            if name in _SCM_TOOLS:
                return _SCM_TOOLS[name]
        if "use_scm_version" in self.setup_py or "setuptools_scm" in self.table("tool"):
            return "setuptools_scm"
        pdm = self.table("tool", "pdm", "version")
        return "pdm" if pdm.get("source") == "scm" else ""

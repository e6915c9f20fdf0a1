"""One Python project's configuration files, parsed: what they say of its metadata. Nothing of it is run.

A file that cannot be read is as good as absent, and leaves a note.
"""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from posixpath import normpath
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
        self.read: Reader = lambda path: read(normpath(f"{prefix}{path}"))
        self.all_paths = paths
        self.paths = [path.removeprefix(prefix) for path in paths if path.startswith(prefix)]
        self.notes: list[str] = []
        self.pyproject = self._toml("pyproject.toml")
        self.setup_cfg = self.ini("setup.cfg")
        self.tox = self.ini("tox.ini") or self._ini_text(self.table("tool", "tox").get("legacy_tox_ini"))
        self._tox_toml = self._toml("tox.toml")
        self._hatch_toml = self._toml("hatch.toml")
        self.pipfile = self._toml("Pipfile")
        self.setup_py = setup_arguments(self.read("setup.py") or "")
        self.project: Mapping[str, Any] = self.table("project")
        self.poetry: Mapping[str, Any] = self.table("tool", "poetry")
        self.flit: Mapping[str, Any] = self.table("tool", "flit", "metadata")

    def has(self, directory: str) -> bool:
        """Whether what runs in a directory of the repository is about this project: in its own, above it, or below and in no other's."""
        if not directory or f"{self.root}/".startswith(f"{directory}/"):
            return True
        parts = directory.split("/")
        above = ("/".join(parts[:count]) for count in range(len(parts), -1, -1))
        return next((home for home in above if home in self._homes), "") == self.root

    @cached_property
    def _homes(self) -> frozenset[str]:
        return frozenset(path.rpartition("/")[0] for path in self.all_paths if path.rpartition("/")[2] in ("pyproject.toml", "setup.py"))

    def _toml(self, path: str) -> dict[str, Any]:
        text = self.read(path)
        if text is None:
            return {}
        try:
            return tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # a number too long is no TOMLDecodeError
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
        except (configparser.Error, AttributeError) as error:  # the latter for an option that goes on and has no value
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
        """An installer can use its metadata: one looks for pyproject.toml or setup.py, and a project may say that it is no package."""
        if self.poetry.get("package-mode") is False or self.table("tool", "uv").get("package") is False:
            return False
        described = bool(self.project or self.poetry or self.flit) or ("metadata" in self.setup_cfg and "pyproject.toml" in self.paths)
        return "setup.py" in self.paths or described or "build-system" in self.pyproject

    @property
    def surely_built(self) -> bool:
        """It says what builds it. Metadata alone are also those of an application, which no build tool may know how to package."""
        return "build-system" in self.pyproject or "setup.py" in self.paths or self.table("tool", "uv").get("package") is True

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
    def extras(self) -> dict[str, list[str]]:
        """The project's extras and what they bring, as far as that can be read."""
        found: dict[str, list[str]] = {}
        for table in (
            self.project.get("optional-dependencies"),
            self.setup_py.get("extras_require"),
            self.setup_cfg.get("options.extras_require"),
            self.poetry.get("extras"),
            self.flit.get("requires-extra"),
        ):
            for extra, lines in table.items() if isinstance(table, dict) else ():
                split = lines.splitlines() if isinstance(lines, str) else _listed(lines)
                found.setdefault(extra, [line.strip() for line in split if isinstance(line, str) and line.strip()])
        return found

    @property
    def hatch_environments(self) -> dict[str, dict[str, Any]]:
        """Hatch's environments by name."""
        found: dict[str, dict[str, Any]] = {}
        for table in (self._hatch_toml.get("envs"), self.table("tool", "hatch", "envs")):
            for name, environment in table.items() if isinstance(table, dict) else ():
                if isinstance(environment, dict):
                    found.setdefault(name, environment)
        return found

    @property
    def claimed_pythons(self) -> tuple[str, ...]:
        """Minor versions in classifiers and tox, oldest first."""
        classifiers: list[object] = []
        for place in (self.project.get("classifiers"), self.poetry.get("classifiers"), self.setup_py.get("classifiers")):
            classifiers += place if isinstance(place, list) else []
        classifiers += self.setup_cfg.get("metadata", {}).get("classifiers", "").splitlines()
        texts = [one for one in classifiers if isinstance(one, str) and "Python ::" in one]
        texts.append(self.tox.get("tox", {}).get("envlist", "") or self.tox.get("tox", {}).get("env_list", ""))
        tox = self.table("tool", "tox")
        texts += [str(one) for one in tox.get("env_list", [])] if isinstance(tox.get("env_list"), list) else []
        return claimed_minors(texts)

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
        found = self._needed()
        if found is None:
            return None if self.installable else ()
        return found.lines

    @cached_property
    def runs_on(self) -> frozenset[str]:
        """Canonical names of what it says that it needs to run, as far as they can be read."""
        places = (self.setup_py.get("install_requires"), self.setup_cfg.get("options", {}).get("install_requires"))
        texts = ["\n".join(map(str, place)) if isinstance(place, list) else str(place or "") for place in places]
        lines = [*(self.dependencies or ()), *(line.strip() for text in texts for line in text.splitlines())]
        return frozenset(canonicalize_name(match[0]) for line in lines if (match := re.match(r"[\w.-]+", line)))

    @property
    def paths_needed(self) -> tuple[str, ...]:
        """Other projects among its dependencies, as `Requirements.paths`."""
        found = self._needed()
        return () if found is None else tuple(found.paths)

    def _needed(self) -> Requirements | None:
        found = Requirements(project=self.name, root=self.root)
        if self.project and "dependencies" not in _listed(self.project.get("dynamic")):
            found.add_all(_listed(self.project.get("dependencies")))
        elif self.poetry and isinstance(self.poetry.get("dependencies"), dict):
            add_poetry(found, self.poetry["dependencies"])
        else:
            return None
        return found

    @property
    def lists_dependencies(self) -> bool:
        """Whether its metadata say, in any way, what it needs to run."""
        if self.project and "dependencies" in (*self.project, *_listed(self.project.get("dynamic"))):
            return True
        if self.dependencies or "install_requires" in self.setup_cfg.get("options", {}):
            return True
        # Also where the list is computed, which is mostly read from the very file that would be taken in its place.
        return re.search(r"\b(?:install_)?requires\s*=|\brequires-dist\b", self.read("setup.py") or "") is not None or bool(self.flit)

    @property
    def build_requirements(self) -> tuple[str, ...]:
        """What it is built with."""
        needs = (*_listed(self.table("build-system").get("requires")), *_listed(self.setup_py.get("setup_requires")))
        return tuple(one for one in needs if isinstance(one, str))

    @property
    def version_from(self) -> str:
        """The tool that makes the version from git tags, or empty."""
        for need in self.build_requirements:
            match = re.match(r"[\w.-]+", need)
            name = canonicalize_name(match[0]) if match else ""
            if name in _SCM_TOOLS:
                return _SCM_TOOLS[name]
        if "use_scm_version" in self.setup_py or "setuptools_scm" in self.table("tool"):
            return "setuptools_scm"
        pdm = self.table("tool", "pdm", "version")
        return "pdm" if pdm.get("source") == "scm" else ""


def _listed(value: object) -> list[Any]:
    """A list of a file or of a call; empty for anything else."""
    return list(value) if isinstance(value, list | tuple) else []

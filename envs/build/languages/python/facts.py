"""What a Python project's files say about how it is built and tested; values only, see `podgym.envs.build.languages.python.detect`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from podgym.envs.build.languages.python.native import Compiled

__all__ = ["Framework", "PythonFacts"]

Framework = Literal["pytest", "unittest"]


class PythonFacts(BaseModel):
    """One project at one commit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: str = ""
    """The project's directory relative to the repository; empty for the repository itself."""
    installable: bool = False
    """It has metadata that an installer can use."""
    surely_built: bool = True
    """It says what builds it; where it does not, its tests may run on its files alone."""
    build_system: str = "none"
    """`setuptools`, `setup.py`, `hatchling`, `flit`, `poetry`, `pdm`, …; `none` for plain files."""
    name: str = ""
    requires_python: str = ""
    pinned_python: str = ""
    pinned_by: str = ""
    """The file that says so."""
    claimed_pythons: tuple[str, ...] = ()
    dependencies: tuple[str, ...] | None = ()
    """What the project needs to run; None where only its own build can tell."""
    version_from: str = ""
    """The tool that makes the version from git tags, or empty."""
    extras: tuple[str, ...] = ()
    """Extras of the project that its tests need."""
    extra_requirements: tuple[str, ...] = ()
    """What those bring, as far as that can be read."""
    uv_sources: bool = False
    """uv is told to take something from elsewhere than an index."""
    test_requirements: tuple[str, ...] = ()
    """What its tests need beside that."""
    constraints: tuple[str, ...] = ()
    """Versions that a lock file or a file of constraints names, as PEP 508 lines."""
    siblings: tuple[str, ...] = ()
    """Other projects of the repository that it is installed with: directories relative to the repository, with extras."""
    variables: Mapping[str, str] = Field(default_factory=dict)
    """What its tests are run with."""
    compiled: Compiled = ""
    """What builds its compiled parts, where the fix changes them."""
    build_requirements: tuple[str, ...] = ()
    """What those are built with."""
    cythonized: tuple[str, ...] = ()
    """Its sources in C that Cython makes before it is built, relative to `root`."""
    without_extensions: str = ""
    """A variable that leaves its compiled parts out, where it has one."""
    framework: Framework = "unittest"
    test_args: tuple[str, ...] = ()
    """For the framework, so that one broken file, a coverage threshold or a process pool decides nothing."""
    changed_tests: tuple[str, ...] = ()
    """Test files that the fix changes and that can be run, relative to `root`."""
    suite: tuple[str, ...] = ()
    """Targets of the whole suite; none where the framework finds the changed tests by itself."""
    django_settings: str = ""
    """The module that Django's tests are run with, where pytest's own settings name none."""
    src_layout: bool = False
    notes: tuple[str, ...] = ()
    """What was found and left out."""

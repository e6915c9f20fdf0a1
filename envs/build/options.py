"""How tasks are built."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SkipValidation, field_validator

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.repair.model import EndpointConfig, ModelBudget
from podgym.envs.repository import History
from podgym.sandbox import Limits
from podgym.verifiers.protection import Language

__all__ = ["BuildOptions"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _cache_dir() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podgym" / "repositories"


class BuildOptions(BaseModel):
    """Everything but the fix itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    parent: int | None = Field(default=None, ge=1)
    """Of a merge commit: which parent is the state before the fix, from 1; by default the first, into which the others were merged."""
    base: str | None = None
    """The commit before the fix, where that is not a parent of it: a fix of several commits."""
    language: Language | None = None
    """In place of the one that the changed files suggest."""
    toolchain: str | None = Field(default=None, pattern=r"^\d+(\.\d+){0,2}$")
    """Version of the language's tools (`3.11`, `17`, `1.22`), in place of the one that the project's files suggest."""
    as_of: AwareDatetime | None = None
    """Dependencies without a lock file are those of this time, by default of the commit's. Builds that share it can share their layers."""
    catalogue: Annotated[Catalogue, SkipValidation] = Catalogue()
    """Base images to choose from."""
    mirror: str = ""
    """Goes before the names of base images, such as `registry.example.org/library/`."""
    plan: BuildPlan | None = None
    """An edited plan, in place of the one that would be made."""
    repairs: int = Field(default=6, ge=0)
    """How many changed plans are tried, by rules, where one fails."""
    repair_timeout_s: float = Field(default=3600.0, ge=0)
    """No further plan is tried after it, counted from the first one's start."""
    endpoint: EndpointConfig | None = None
    """An OpenAI-compatible service whose model mends a plan that the rules cannot; none by default."""
    budget: ModelBudget = ModelBudget()
    """What that may cost, for one build."""
    run_tests: bool = True
    """False writes the task without knowing which tests decide: it can be looked at, not graded."""
    repeats: int = Field(default=3, ge=1)
    """How often the tests run with the fix and without it, to find flaky ones."""
    decoys: bool = True
    """Make tests that no solution passes, which full marks are held against: code under test that bends its tests passes them too."""
    audit: bool = False
    """Read a Docker image in full before its task is written, which takes about a minute for the first one on a base image. What the
    local provider makes is always read. An image that no step of the plan adds anything to is the base image and the repository alone,
    and is not read."""
    suite_timeout_s: float | None = Field(default=None, gt=0)
    """One run of the whole suite, by default 300 s, or 900 s for languages that build first; where it takes longer, the changed test
    files alone are run."""
    install_timeout_s: float = Field(default=1800.0, gt=0)
    """One step of the image."""
    install_env: dict[str, str] = Field(default_factory=dict)
    """Exported while installing: PIP_INDEX_URL, HTTPS_PROXY and the like of a closed network. Stored with the task, so no secrets."""
    ca_bundle: Path | None = None
    """PEM file with the certificates that installers trust; it is copied into the task."""
    limits: Limits | None = None
    """Of the task's sandboxes, in place of the plan's."""
    split: str = "train"
    tags: tuple[str, ...] = ()
    overwrite: bool = False
    """Replace a task of the same name."""
    history: History = "full"
    """How much of base's history the agent gets: "full", or a number of generations of commits for huge repositories."""
    submodules: dict[str, str] = Field(default_factory=dict)
    """Path of a submodule (from the outermost repository): the repository, bundle or URL to take its pinned commit from."""
    follow_urls: bool = False
    """Fetch what the source lacks (pinned submodules, contents of a partial clone) from URLs that the repository itself names."""
    cache_dir: Path = Field(default_factory=_cache_dir)
    """Where remote repositories are mirrored."""

    @field_validator("history")
    @classmethod
    def _some_history(cls, history: History) -> History:
        if history != "full" and history < 1:
            raise ValueError(f'{history} generations are none; "full" or a number from 1 is allowed.')
        return history

    @field_validator("install_env")
    @classmethod
    def _names_are_names(cls, env: dict[str, str]) -> dict[str, str]:
        for name in env:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of an environment variable.")
        return env

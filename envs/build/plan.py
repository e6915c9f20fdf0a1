"""How one project is built and tested at one commit. A plan is data: shown, stored with the task, edited by hand, run as it is.

The image is made in layers: the toolchain's image, Debian packages, what can be installed from the manifests alone (so that
tasks of one repository share it), the repository, and what is built from it. Everything that tests need is there
afterwards, because they run without a network.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from podgym.sandbox import Copy, ImageRecipe, Limits, Step
from podgym.verifiers import TestCommand
from podgym.verifiers.protection import Language

__all__ = ["ARCHIVE", "CA_BUNDLE", "CA_FILE", "CA_VARIABLES", "INSTALL_LOG", "MANIFESTS", "TOOLS", "WORKDIR", "BuildPlan"]

WORKDIR = "/testbed"
TOOLS = "/opt/podgym"
"""In the image: caches, build directories and tools, whatever is not the repository; kept by every provider."""
INSTALL_LOG = f"{TOOLS}/install.log"
"""In the image: one line for each installation that is worth telling: the date that it was cut at, what could not be installed."""
ARCHIVE = "repo.tar"
MANIFESTS = "manifests.tar"
CA_FILE = "ca.crt"
CA_BUNDLE = f"{TOOLS}/ca.crt"
CA_VARIABLES = (
    "CARGO_HTTP_CAINFO",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
)


class BuildPlan(BaseModel):
    """See the module."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: Language
    build_system: str
    """`setuptools`, `maven`, `gradle`, `go`, `cargo`, `npm`, `pnpm`, `cmake`, `meson`, `autotools`, `make`, …"""
    toolchain: str
    """Version of the language's tools, such as `3.11` or `17`."""
    why_toolchain: str = ""
    framework: str
    """Of the tests, in its own name: `pytest`, `surefire`, `go test`, `jest`, …"""
    name: str = ""
    """Under which the project is published; the image must hold no published copy of it."""
    root: str = ""
    """The project's directory inside the repository."""
    base: str
    """Name of the toolchain's image, without a mirror's prefix."""
    mirror: str = ""
    """Goes before `base`."""
    ca_bundle: bool = False
    """The context holds certificates to trust while installing, as `ca.crt`; they are at `CA_BUNDLE` in the image of a plan with steps."""
    packages: tuple[str, ...] = ()
    """Of Debian."""
    manifests: tuple[str, ...] = ()
    """Files of the base commit that lie in the work tree already while `dependencies` run."""
    dependencies: tuple[Step, ...] = ()
    install: tuple[Step, ...] = ()
    """With the whole repository in place."""
    writable: tuple[str, ...] = (TOOLS,)
    """Directories besides the work tree that the steps and the tests write to."""
    env: dict[str, str] = Field(default_factory=dict)
    """Of the agent and of the tests."""
    tests: tuple[TestCommand, ...] = Field(min_length=1)
    """The whole suite, or that of the part that the fix touches."""
    changed: tuple[TestCommand, ...] = ()
    """The changed test files alone, for a suite that takes too long; none where they cannot be run apart."""
    limits: Limits = Limits()
    """Of the task's sandboxes."""
    notes: tuple[str, ...] = ()
    """What was found and left out, and what was guessed."""

    @property
    def recipe(self) -> ImageRecipe:
        """The image's recipe; its context holds `ARCHIVE`, and where the plan has them `MANIFESTS` and `CA_FILE`."""
        return ImageRecipe(
            base=f"{self.mirror}{self.base}",
            workdir=WORKDIR,
            packages=self.packages,
            before_copies=(
                *((Copy(source=CA_FILE, target=CA_BUNDLE),) if self.ca_bundle and self.steps else ()),
                *((Copy(source=MANIFESTS, target=WORKDIR),) if self.manifests else ()),
            ),
            before=self.dependencies,
            copies=(Copy(source=ARCHIVE, target=WORKDIR),),
            after=self.install,
            writable=self.writable,
        )

    @property
    def steps(self) -> tuple[Step, ...]:
        """All, in order."""
        return (*self.dependencies, *self.install)

"""The sandbox contract: a place where shell commands run and files live, and the provider that makes such places.

Nothing is installed in a sandbox and nothing listens in it. A `CommandResult` exists only for a command that ran, be
it to a non-zero exit code or to its time limit; everything else is an exception of `podgym.sandbox.errors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from podgym.sandbox.images import ImageRecipe
from podgym.sandbox.values import Directory, Variables

__all__ = [
    "OUTPUT_LIMIT_BYTES",
    "CommandResult",
    "Freezable",
    "KnowsBases",
    "Limits",
    "Network",
    "Sandbox",
    "SandboxProvider",
    "SandboxSpec",
    "Stream",
]

OUTPUT_LIMIT_BYTES = 1 << 20
"""Default bound on what is kept of each of a command's two streams."""

Network = Literal["none", "full"]


class Limits(BaseModel):
    """What one sandbox may use at most."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpus: float = Field(default=1.0, gt=0)
    """Processors; a fraction is a share of one."""
    memory_bytes: int = Field(default=2 << 30, ge=16 << 20)
    """Resident memory of all processes together."""
    processes: int = Field(default=512, ge=4)
    """Processes and threads alive at once."""
    disk_bytes: int = Field(default=4 << 30, ge=1 << 20)
    """What may be written beyond the image, where the provider can bound it; a single file is always bounded by it."""


class SandboxSpec(BaseModel):
    """Everything a provider needs to make one sandbox; it travels inside a Task, hence JSON-serialisable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str
    """The image's name: a registry reference, or the name that `recipe` is built under. The local provider knows
    images by recipe only, and the name `"host"`: the machine's own programs and an empty working directory."""
    recipe: ImageRecipe | None = None
    """How to make the image where it is not there already."""
    context: str | None = None
    """Directory on the provider's machine that `recipe.copies` is relative to."""
    workdir: Directory = "/workspace"
    """Absolute; where commands start. Made if it is not in the image."""
    env: Variables = Field(default_factory=dict)
    """Environment of every command, over the image's own. The driver's environment never reaches a sandbox."""
    network: Network = "none"
    """`none`: a network of its own with nothing but its loopback. `full`: whatever the provider's machine reaches. The local
    provider's `full` is the machine's own network, loopback included: what listens there (a private Ray, a database) can be
    talked to by the sandbox. Docker's is the engine's network of that name in its configuration."""
    user: str = "root"
    """Name or uid inside the sandbox."""
    limits: Limits = Limits()
    lifetime_s: float = Field(default=7200.0, gt=0)
    """The provider ends the sandbox after this long even if its driver is dead, as far as it can."""
    labels: Mapping[str, str] = Field(default_factory=dict)
    """`run` names the run that owns the sandbox, so that what a dead driver left can be found and reaped."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What a command wrote to one stream. Where `total` exceeds the limit, the middle was cut."""

    head: bytes
    tail: bytes = b""
    """Empty unless the stream was cut; then the last half of the limit."""
    total: int = 0
    """Bytes written, kept or not."""

    @property
    def cut(self) -> int:
        """Bytes that were dropped between head and tail."""
        return self.total - len(self.head) - len(self.tail)

    @property
    def bytes(self) -> bytes:
        """Everything kept, head and tail joined without a mark."""
        return self.head + self.tail

    def text(self) -> str:
        """Kept text with a line that says how much was cut; bytes that are not UTF-8 become U+FFFD."""
        head = self.head.decode("utf-8", "replace")
        if not self.cut:
            return head + self.tail.decode("utf-8", "replace")
        return f"{head}\n[... {self.cut} bytes cut ...]\n{self.tail.decode('utf-8', 'replace')}"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A command that ran."""

    exit_code: int
    """As a shell reports it: 128 + n for a command killed by signal n; 137 when `timed_out`."""
    stdout: Stream
    stderr: Stream
    timed_out: bool
    """Its process group was killed at its time limit."""
    duration_s: float
    out_of_memory: bool = False
    """The kernel killed a process of the sandbox at its memory limit while the command ran; False also where that is not known."""


@runtime_checkable
class Sandbox(Protocol):
    """One sandbox. All methods may be called concurrently; after `close` they raise `SandboxLost(reason="closed")`."""

    async def run(
        self,
        script: str,
        *,
        timeout_s: float,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        output_limit: int = OUTPUT_LIMIT_BYTES,
    ) -> CommandResult:
        """Run `script` with the image's `sh`, in its own process group.

        `output_limit` bounds each stream in bytes (half head, half tail). The result comes when the script's own
        shell has ended, even if children that it left behind hold its streams open; at `timeout_s` the whole group
        is killed and what it wrote so far is returned with `timed_out`. A `cwd` that is not a directory is a result
        with exit code 126 and a message on stderr, not an exception.
        """
        ...

    async def read(self, path: str) -> bytes:
        """A whole file. Raises `FileNotFoundError` or another `OSError` for what the path is, as `open` would."""
        ...

    async def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Replace a file atomically, making its parent directories."""
        ...

    async def close(self) -> None:
        """End every process and remove everything; idempotent."""
        ...


@runtime_checkable
class Freezable(Protocol):
    """What a sandbox also is that knows every process in it; the local and Docker providers' are."""

    async def freeze(self) -> int:
        """End every process but the sandbox's own first one, so that files change only by later commands.

        However they fork, detach or wake each other; commands that still run end as killed. Returns how many could not
        be ended within some seconds, which is none unless one hangs in the kernel. Raises `SandboxError`.
        """
        ...


@runtime_checkable
class KnowsBases(Protocol):
    """What a provider also is that knows which base images need no download."""

    async def bases(self) -> frozenset[str]:
        """Their names, as recipes would have them.

        The local provider's are the public images whose toolchains the machine has; Docker's are the tags of the engine's images.
        Raises `SandboxError`.
        """
        ...


@runtime_checkable
class SandboxProvider(Protocol):
    """Makes sandboxes; owns what they share (images, helper processes)."""

    async def create(self, spec: SandboxSpec) -> Sandbox:
        """A fresh sandbox; builds the image first where it is missing.

        Raises `ImageError`, `IsolationError`, `QuotaError` or `TransportError`.
        """
        ...

    async def close(self) -> None:
        """Close every sandbox still open and everything shared; idempotent."""
        ...

"""How mutations become tasks."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["MutationOptions"]


class MutationOptions(BaseModel):
    """Everything but the repository and how it is built."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(default=50, ge=1)
    """Tasks that are wanted."""
    seed: int = 0
    """Equal seeds try equal mutations in equal order."""
    attempts: int | None = Field(default=None, ge=1)
    """Mutations that are tried at most, by default eight for each task and forty besides."""
    concurrency: int = Field(default=2, ge=1)
    """Sandboxes at once."""
    hide_tests: bool = False
    """Take the failing test files out of the agent's tree, as the tests of a real fix are not in it. Without it they stay: then a rollout
    can be guided by them, and they are graded in the version of the base all the same."""
    share: float = Field(default=0.5, gt=0, le=1)
    """A mutation that fails more than this share of the passing tests breaks everything, and is no bug to find."""
    per_place: int = Field(default=3, ge=1)
    """Tasks from one function at most."""
    per_file: int | None = Field(default=None, ge=1)
    """Tasks from one file at most, by default twice what each would give if all gave the same."""
    budget_s: float | None = Field(default=None, gt=0)
    """No further mutation is tried after this time."""
    baseline_runs: int = Field(default=3, ge=2)
    """How often the tests run on the unchanged project, to tell which of them are steady."""

    @property
    def tried(self) -> int:
        """Mutations that are tried at most."""
        return self.attempts if self.attempts is not None else 8 * self.count + 40

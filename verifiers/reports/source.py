"""Where a test program leaves its report, and in which format."""

from __future__ import annotations

import posixpath
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["PLACE", "ReportFormat", "ReportSource"]

ReportFormat = Literal[
    "junit", "go-json", "libtest", "tap", "jest-json", "mocha-json", "gtest-xml", "automake", "check-xml", "cmocka-xml", "boost-xml",
    "exit-code", "mixed",
]  # fmt: skip

PLACE: Final = "{report}"


class ReportSource(BaseModel):
    """The report is what matches `files`, else what the script writes to `{report}`, else its standard output."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: ReportFormat
    files: tuple[str, ...] = ()
    """Globs relative to the command's `cwd`, such as `**/target/surefire-reports/TEST-*.xml`: `*` and `?` within a name, one
    leading or inner `**/` for any depth. What matches is removed before the run and collected after it."""
    max_bytes: int = Field(default=32 << 20, ge=1024, le=256 << 20)
    """Of all files together; a larger report is refused unread."""

    @field_validator("files")
    @classmethod
    def _globs_stay_below(cls, globs: tuple[str, ...]) -> tuple[str, ...]:
        for glob in globs:
            parts = glob.split("/")
            plain = glob.isprintable() and not set(glob) & set("[]{}\\'\"$`")
            if not plain or posixpath.normpath(glob) != glob or parts[0] in ("", "..", ".") or parts.count("**") > 1 or parts[-1] == "**":
                raise ValueError(
                    f"{glob!r} is no glob below the working directory: give names with * and ?, and `**/` at most once, not at the end."
                )
            if any("**" in part and part != "**" for part in parts):
                raise ValueError(f"{glob!r}: `**` stands for whole directories, as in `**/name`.")
        return globs

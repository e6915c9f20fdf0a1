"""What can be wrong with a plan, by the traces that it leaves in a log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Cause", "Kind"]

Kind = Literal[
    # Something of the system is not installed.
    "missing_header",
    "missing_library",
    "missing_shared_library",
    "missing_pkgconfig",
    "missing_program",
    "missing_cmake_package",
    "missing_module",
    "unknown_package",
    "package_conflict",
    "image_missing",
    # Toolchains.
    "wrong_toolchain",
    "old_build_tool",
    "missing_build_system",
    "warnings_as_errors",
    "compiler_strictness",
    "cmake_policy",
    "legacy_openssl",
    "build_isolation",
    "unstable_feature",
    "java_modules",
    "quality_gate",
    # Dependencies.
    "lock_mismatch",
    "peer_dependencies",
    "install_script",
    "browser_download",
    "package_manager",
    "go_modules",
    "git_protocol",
    "submodule_missing",
    "version_from_git",
    "git_ownership",
    "autotools_timestamps",
    # The machine.
    "network",
    "flaky_download",
    "certificate",
    "insecure_repository",
    "permission",
    "out_of_memory",
    "heap_limit",
    "disk_full",
    "timeout",
    "file_watchers",
    "open_files",
    # What tests find around them.
    "refuses_root",
    "locale",
    "timezone",
    "ipv6",
    "shm",
    "display",
    "dbus",
    "database",
    "colour",
]


@dataclass(frozen=True, slots=True)
class Cause:
    """One reading of a log."""

    kind: Kind
    subject: str = ""
    """What it is about: the header's name, the program, the range of versions that is wanted (`node >=22`)."""
    evidence: str = ""
    """The line of the log that says so."""

"""What plans for Maven and Gradle have in common."""

from __future__ import annotations

from typing import Final

from podgym.envs.build.languages.java.settings import BIN, JDK
from podgym.sandbox import Limits

__all__ = ["LIMITS", "REPORT_BYTES", "agent_environment"]

LIMITS: Final = Limits(cpus=2, memory_bytes=4 << 30, processes=2048, disk_bytes=8 << 30)
REPORT_BYTES: Final = 128 << 20
"""Surefire writes all system properties into each of its files."""


def agent_environment() -> dict[str, str]:
    """Of the agent: the same Java and build tool as the tests have."""
    return {
        "HOME": "/root",
        "JAVA_HOME": JDK,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PATH": f"{BIN}:{JDK}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TZ": "UTC",
    }

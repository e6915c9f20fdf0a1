"""What a workflow or a job is for, by its name."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["OTHER", "TESTING", "is_beside"]

TESTING: Final = re.compile(
    r"test|ci\b|build|check|unit|main|linux|ubuntu|verify|python|node|java|rust|go\b|cmake|maven|gradle", re.IGNORECASE
)
OTHER: Final = re.compile(
    r"release|publish|deploy|docs?\b|documentation|pages|stale|label|codeql|scorecard|dependabot|lint|format|style|nightly|bench|wheels"
    r"|docker|image|windows|macos|android|ios|fuzz|coverity|changelog|triage|greet|sync|semgrep|security|audit|package|abi|spell|cache|size|website|msys|cygwin",
    re.IGNORECASE,
)


def is_beside(name: str) -> bool:
    """Whether it does something else than building and testing."""
    return bool(OTHER.search(name)) and not TESTING.search(name)

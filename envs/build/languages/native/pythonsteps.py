"""The step that installs what `pythonneeds` found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from podgym.envs.build.languages.native.pythonneeds import PLACE
from podgym.envs.build.languages.native.shell import install_prelude

__all__ = ["install_python"]


def install_python(needs: Sequence[str], exports: Mapping[str, str], committed: datetime) -> str:
    """The step: as of the commit where the tool can, one by one where not all can be had; never fails."""
    day = committed.strftime("%Y-%m-%d")
    return f"""{install_prelude(exports, "")}pip_install() {{
  if command -v uv >/dev/null && uv pip install -q --exclude-newer {day} --python python3 --target {PLACE} "$@"; then
    say "uv, as of {day}: $*"
  elif python3 -m pip install -q --no-cache-dir --target {PLACE} "$@"; then say "pip, latest: $*"
  else say "not installed: $*"; return 1; fi
}}
pip_install {" ".join(needs)} || {{
{"".join(f"  pip_install {need} || true{chr(10)}" for need in needs)}}}
"""

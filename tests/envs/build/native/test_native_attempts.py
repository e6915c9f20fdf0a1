"""The order in which CMake is tried, with a stub that says what would have become of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from podgym_test_kit.plans import tree

from podgym.envs.build.languages.native.cmake import cmake_install
from podgym.envs.build.languages.native.cmakefacts import read_cmake

STUB = """\
say() { echo "$*" >>said; }
timeout() { shift; "$@"; }
cmake() {
  case $1 in --build)
    echo "build $(cat "$2/kind")" >>said
    case $(cat "$2/kind") in aided) return "$aided_builds" ;; *) return "$unaided_builds" ;; esac ;;
  esac
  kind=unaided
  for word; do case $word in -DCMAKE_PROJECT_TOP_LEVEL*) kind=aided ;; -DPODGYM_ABSENT=ON) kind=absent; break ;; esac; done
  case "$kind $missing" in "aided 1"|"unaided 1") return 1 ;; esac
  mkdir -p /opt/podgym/build && echo $kind >/opt/podgym/build/kind
}
jobs=1 generator= quiet= fetched= absent= stand=-DCMAKE_PROJECT_TOP_LEVEL_INCLUDES=x
"""


@pytest.mark.parametrize(
    ("aided", "unaided", "missing", "kind"),
    [
        (0, 0, 0, "aided"),
        (1, 0, 0, "unaided"),
        # What comes of real downloads is no better, and so the first goes on.
        (1, 1, 0, "aided"),
        (0, 0, 1, "absent"),
    ],
)
def test_stand_ins_do_not_stand_in_the_way(tmp_path: Path, aided: int, unaided: int, missing: int, kind: str) -> None:
    files = tree({"CMakeLists.txt": 'project(calc)\nCPMAddPackage("gh:o/alpha@1.0")\n'})
    install = cmake_install(read_cmake(files, ""), files, "", changed=(), ci=(), exports={})
    part = install[install.index('plain="-D') : install.index(": >/opt/podgym/built")]
    script = f"aided_builds={aided} unaided_builds={unaided} missing={missing}\n{STUB}{part}"
    done = subprocess.run(
        ["sh", "-euc", script.replace("/opt/podgym", str(tmp_path))], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "build/kind").read_text() == f"{kind}\n"
    assert not (tmp_path / "build-aided").exists()
    assert (tmp_path / "partial").exists() == bool(aided and unaided)

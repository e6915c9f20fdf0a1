"""The kinds of toolchain: where installations of each lie, and what is known of one.

`roots` lists directories and reads nothing, because a provider does it when it is made: what sandboxes may see is fixed when the
helper starts. `describe` reads version files and may run a compiler for its version; it is called when an image asks for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from podgym.sandbox.local.toolchains.java import describe_gradle, describe_jdk, describe_maven, gradles, jdks, mavens
from podgym.sandbox.local.toolchains.native import compilers, describe_compiler
from podgym.sandbox.local.toolchains.places import Places, ask, first_line, listed
from podgym.sandbox.local.toolchains.toolchain import Toolchain, installed_at

__all__ = ["KINDS", "Kind"]

_OF_NODE: Final = ("node", "nodejs", "npm", "npx", "corepack", "yarn", "yarnpkg", "pnpm", "pnpx")
_OF_RUST: Final = ("rustc", "cargo", "rustdoc", "rustfmt", "cargo-fmt", "cargo-clippy", "clippy-driver")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of toolchain."""

    title: str
    roots: Callable[[Places], Iterator[Path]]
    """Candidates, the machine's default first; some may not be there, or be something else."""
    describe: Callable[[Path], Toolchain | None]
    """None for a candidate that is none."""
    marks: tuple[str, ...] = ()
    """Files of which every root has one. None where roots are no directories but programs of the distribution."""


def _goes(places: Places) -> Iterator[Path]:
    yield from (program.parent.parent for program in places.programs("go"))
    yield from places.named("GOROOT")
    yield from places.below_top("usr/local/go", "usr/lib/go-*", "usr/lib/go", "usr/local/go-*", "usr/local/go[0-9]*", "opt/go*")
    yield from places.below_home("sdk/go*", "go/pkg/mod/golang.org/toolchain@*", ".goenv/versions/*", ".gvm/gos/*")


def _describe_go(root: Path) -> Toolchain | None:
    found = re.match(r"go(\d+(?:\.\d+)+)", first_line(root / "VERSION"))
    if found is None or not (root / "bin/go").is_file():
        return None
    env = {"GOROOT": str(root), "GOTOOLCHAIN": "local", "GOLANG_VERSION": found[1]}
    return installed_at(root, "go", found[1], env=env, places={"GOPATH": "/go"}, public=("/usr/local/go/bin",))


def _rusts(places: Places) -> Iterator[Path]:
    """Toolchains and not rustup's shims, which would download what a repository's files ask for."""
    yield from (program.parent.parent for program in places.programs("rustc"))
    for rustup in (*places.named("RUSTUP_HOME"), places.home / ".rustup", places.top / "usr/local/rustup"):
        default = re.search(r'^default_toolchain = "([\w.+-]+)"', _text(rustup / "settings.toml"), re.MULTILINE)
        yield from (rustup / "toolchains" / name for name in (default.groups() if default else ()))
        yield from sorted(listed(rustup / "toolchains", "*"), reverse=True)
    yield from places.below_top("opt/rust*")


def _describe_rust(root: Path) -> Toolchain | None:
    if not (root / "lib/rustlib").is_dir() or not (root / "bin/cargo").is_file():
        return None
    found = re.match(r"rustc (\d+\.\d+\.\d+)(-[a-z]+)?", ask(root / "bin/rustc", "--version"))
    if found is None:
        return None
    version = found[1] + (found[2] or "")
    return installed_at(root, "rust", version, programs=_OF_RUST, env={"RUST_VERSION": found[1]}, public=("/usr/local/cargo/bin",))


def _nodes(places: Places) -> Iterator[Path]:
    yield from (program.parent.parent for program in places.programs("node", "nodejs"))
    yield from places.below_home(
        ".nvm/versions/node/*", ".local/share/fnm/node-versions/*/installation", ".volta/tools/image/node/*", ".nodenv/versions/*"
    )
    for manager, pattern in (("NVM_DIR", "versions/node/*"), ("FNM_DIR", "node-versions/*/installation")):
        for folder in places.named(manager):
            yield from sorted(listed(folder, pattern), reverse=True)
    yield from places.below_top("usr/local/lib/nodejs/*", "opt/node*")


def _describe_node(root: Path) -> Toolchain | None:
    program = next((root / "bin" / name for name in ("node", "nodejs") if (root / "bin" / name).is_file()), None)
    found = re.match(r"v(\d+\.\d+\.\d+)", ask(program, "--version")) if program else None
    if found is None:
        return None
    return installed_at(root, "node", found[1], programs=_OF_NODE, env={"NODE_VERSION": found[1]}, public=("/usr/local/bin",))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")[:65_536]
    except OSError:
        return ""


KINDS: Final[dict[str, Kind]] = {
    "go": Kind("Go", _goes, _describe_go, ("bin/go",)),
    "rust": Kind("Rust", _rusts, _describe_rust, ("lib/rustlib",)),
    "node": Kind("Node", _nodes, _describe_node, ("bin/node", "bin/nodejs")),
    "java": Kind("a JDK", jdks, describe_jdk, ("bin/javac",)),
    "maven": Kind("Maven", mavens, describe_maven, ("bin/mvn",)),
    "gradle": Kind("Gradle", gradles, describe_gradle, ("bin/gradle",)),
    "gcc": Kind("GCC", compilers, describe_compiler),
}

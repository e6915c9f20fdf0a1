"""The shell that installs a Rust project's dependencies, compiles its tests, and runs them.

The compiler is reached by links to its own programs and never through rustup, which would fetch another one where a
rust-toolchain file asks for it. Whatever decides what cargo compiles again (profiles, flags, features) is the same in the image
and in the tests. Features that do not compile are left out by the build, which writes what it kept where the tests read it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from podgym.envs.build.plan import INSTALL_LOG, TOOLS, WORKDIR

__all__ = ["ENVIRONMENT", "PATH", "Unit", "compile_script", "extra_script", "prelude", "run_script", "setup_script", "stub_script"]

_BIN: Final = f"{TOOLS}/bin"
_HOME: Final = f"{TOOLS}/cargo"
_STATE: Final = f"{TOOLS}/rust"
PATH: Final = f"{_BIN}:{_HOME}/bin:/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT: Final[Mapping[str, str]] = {
    "CARGO_HOME": _HOME,
    "CARGO_TARGET_DIR": f"{TOOLS}/target",
    "CARGO_INCREMENTAL": "0",
    "CARGO_PROFILE_DEV_DEBUG": "0",
    "CARGO_PROFILE_TEST_DEBUG": "0",
    "CARGO_TERM_COLOR": "never",
    "CARGO_TERM_QUIET": "false",
    "CARGO_TERM_VERBOSE": "false",
}
"""Of the build, the tests and the agent alike; tests and agent are offline besides."""

_PRELUDE: Final = """\
set -eu
{exports}export PATH={path} CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS={versions}
unset RUSTUP_TOOLCHAIN RUSTFLAGS RUSTDOCFLAGS CARGO_BUILD_RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_NET_OFFLINE || true
top={workdir} state={state} log={log} cut={cut}
mkdir -p "$state" "$CARGO_HOME"
again() {{ "$@" || {{ sleep 3; "$@"; }}; }}
lock() {{
  [ ! -f Cargo.lock ] || return 0
  if RUSTC_BOOTSTRAP=1 cargo -Zunstable-options generate-lockfile --publish-time "$cut" 2>"$state/lock.err"; then
    echo "cargo, as of $cut: Cargo.lock" >> "$log"
  else
    tail -n 5 "$state/lock.err" >&2
    export CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS=fallback
    again cargo generate-lockfile && echo "cargo, latest that the compiler takes: Cargo.lock" >> "$log"
  fi
  rm -f "$state/lock.err"
}}
"""
_SETUP: Final = """\
version={version}
for home in "${{RUSTUP_HOME:-}}" /usr/local/rustup "${{HOME:-/root}}/.rustup" /root/.rustup; do
  [ -z "$home" ] || [ ! -d "$home/toolchains" ] || break
done
rustc=
for place in "$home/toolchains/$version"-* "$home/toolchains/$version".*; do
  [ -n "$rustc" ] || [ ! -x "$place/bin/rustc" ] || rustc=$place/bin/rustc
done
[ -n "$rustc" ] || rustc=$(cd / && rustup which rustc 2>/dev/null) || rustc=$(command -v rustc) || rustc=
for place in "$home"/toolchains/stable-* "$home"/toolchains/*; do
  [ -n "$rustc" ] || [ ! -x "$place/bin/rustc" ] || rustc=$place/bin/rustc
done
[ -n "$rustc" ] || {{ echo "There is no rustc in this image." >&2; exit 1; }}
mkdir -p {bin}
for program in "$(dirname "$rustc")"/*; do ln -sf "$program" {bin}/; done
for old in /usr/local/cargo "${{HOME:-/root}}/.cargo"; do
  [ ! -f "$old/config.toml" ] || [ -f "$CARGO_HOME/config.toml" ] || cp "$old/config.toml" "$CARGO_HOME/config.toml"
done
grep -qs '^\\[build\\]' "$CARGO_HOME/config.toml" || printf '%s' {config} >> "$CARGO_HOME/config.toml"
rustc -vV >&2
"""
_COMPILE: Final = """\
compile() {{
  cd "$top"/{root} && lock || return 1
  had={had}
  [ -z "$had" ] || cp Cargo.lock "$state/lock.{name}"
  done=
  for words in {candidates}; do
    for locked in --locked ""; do
      if eval "{cargo} --no-run $locked $words" && {examples}; then done=1; break 2; fi
      [ -z "$had" ] || cp "$state/lock.{name}" Cargo.lock
    done
    echo "does not compile: cargo test $words" >> "$log"
  done
  [ -n "$done" ] || return 1
  [ -n "$locked" ] || [ -z "$had" ] || echo "Cargo.lock does not fit Cargo.toml, and was brought up to date while compiling" >> "$log"
  [ -z "$had" ] || {{ cmp -s "$state/lock.{name}" Cargo.lock || cp "$state/lock.{name}" Cargo.lock; rm -f "$state/lock.{name}"; }}
  printf '%s' "$words" > "$state/arguments.{name}"
}}
"""


@dataclass(frozen=True, slots=True)
class Unit:
    """The touched packages of one workspace: what one run of cargo compiles and tests."""

    root: str
    packages: tuple[tuple[str, str], ...]
    """Directories and names; none for all of the workspace."""
    candidates: tuple[tuple[str, ...], ...]
    """Arguments that choose features, in the order in which they are tried."""
    name: str = "0"
    selection: tuple[str, ...] = ("--tests",)
    """Which targets."""
    locked: bool = False
    """The repository holds its lock file."""
    examples: bool = False
    """Tests run the package's examples."""
    threads: int = 0

    @property
    def which(self) -> tuple[str, ...]:
        """Arguments that choose packages: by place, because a package's name may also be one of its dependencies'."""
        if not self.packages:
            return ("--workspace",)
        return tuple(word for place, name in self.packages for word in ("-p", f"file://{WORKDIR}/{place}".rstrip("/") + f"#{name}"))

    def cargo(self, command: str, selection: Sequence[str] | None = None) -> str:
        """Quoted words, without those that choose features."""
        return shlex.join(("cargo", command, *self.which, *(self.selection if selection is None else selection)))


def prelude(exports: Mapping[str, str], *, cut: str, older: bool) -> str:
    """What every step begins with; `older` says that the compiler is older than the commit, so that crates may be too new for it."""
    lines = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted({**exports, **ENVIRONMENT}.items()))
    return _PRELUDE.format(
        versions="fallback" if older else "allow",
        exports=lines,
        path=f"{_BIN}:{_HOME}/bin:/usr/local/cargo/bin:/root/.cargo/bin:$PATH",
        workdir=WORKDIR,
        state=_STATE,
        log=INSTALL_LOG,
        cut=cut,
    )


def setup_script(version: str, rustflags: Sequence[str]) -> str:
    """Links to the compiler, and cargo's configuration."""
    listed = ", ".join(f'"{flag}"' for flag in rustflags)
    config = f"\n[build]\nrustflags = [{listed}]\n" if rustflags else "\n[net]\nretry = 5\n"
    return _SETUP.format(version=shlex.quote(version), bin=_BIN, config=shlex.quote(config))


def stub_script(units: Sequence[Unit], stubs: Sequence[str], names: Sequence[str]) -> str:
    """Compiles the dependencies of packages whose manifests are there, with empty files in place of their sources."""
    lines = [
        f"for file in {shlex.join(stubs)}; do",
        '  [ -e "$file" ] || { mkdir -p "$(dirname "$file")"; echo "fn main() {}" > "$file"; }',
        "done",
    ]
    for unit in units:
        words = " ".join(shlex.quote(shlex.join(one)) for one in unit.candidates)
        lines += [
            f'if cd "$top"/{shlex.quote(unit.root)} && lock; then',
            f"  for words in {words}; do",
            f'    if eval "{_inside(unit.cargo("test"))} --no-run --locked $words"; then break; fi',
            "  done",
            "else",
            f'  echo {shlex.quote(f"not resolved from the manifests alone: {unit.root or WORKDIR}")} >> "$log"',
            "fi",
        ]
    # What was compiled of the packages themselves is newer than their sources, and cargo would take it for theirs.
    digits = "[0-9a-f]" * 16
    lines += [
        'cd "$top"',
        f"for name in {shlex.join(names)}; do",
        f'  rm -rf "$CARGO_TARGET_DIR"/debug/.fingerprint/"$name"-{digits} "$CARGO_TARGET_DIR"/debug/build/"$name"-{digits}',
        f'  rm -rf "$CARGO_TARGET_DIR"/*/debug/.fingerprint/"$name"-{digits} "$CARGO_TARGET_DIR"/*/debug/build/"$name"-{digits}',
        "done",
    ]
    return "\n".join(lines) + "\n"


def compile_script(unit: Unit) -> str:
    """Compiles the tests of one unit, and keeps which features did."""
    cargo = _inside(unit.cargo("test"))
    examples = f'eval "{_inside(unit.cargo("build", ("--examples",)))} $locked $words"' if unit.examples else "true"
    text = _COMPILE.format(
        root=shlex.quote(unit.root),
        had="1" if unit.locked else "",
        name=unit.name,
        candidates=" ".join(shlex.quote(shlex.join(words)) for words in unit.candidates),
        cargo=cargo,
        examples=examples,
    )
    return text + "compile\n"


def extra_script(dependencies: Mapping[str, str]) -> str:
    """Fetches crates that only the fix's manifests name, given as lines of a manifest; nothing of it stays but the crates."""
    listed = "".join(f"{name} = {value}\n" for name, value in dependencies.items())
    manifest = f'[package]\nname = "more"\nversion = "0.0.0"\nedition = "2018"\n[lib]\npath = "more.rs"\n[dependencies]\n{listed}'
    return (
        'log=/dev/null more=$(mktemp -d) && cd "$more" && : > more.rs\n'
        f"printf '%s' {shlex.quote(manifest)} > Cargo.toml\n"
        '{ lock && again cargo fetch --target "$(rustc -vV | sed -n "s/^host: //p")"; } || '
        "echo 'not fetched: crates that are named later' >&2\n"
        'cd "$top" && rm -rf "$more"\n'
    )


def run_script(unit: Unit, selection: Sequence[str] | None = None) -> str:
    """Runs the tests of one unit; everything is printed, for the report is in it."""
    rest = f" -- --test-threads={unit.threads}" if unit.threads else ""
    words = f"words=$(cat {_STATE}/arguments.{unit.name} 2>/dev/null) || words={shlex.quote(shlex.join(unit.candidates[0]))}\n"
    cargo = _inside(unit.cargo("test", selection))
    examples = ""
    if unit.examples:
        examples = f'eval "{_inside(unit.cargo("build", ("--examples",)))} --offline $words" 2>&1\n'
    return f'export PATH={_BIN}:"$PATH"\n{words}{examples}eval "exec {cargo} --offline --no-fail-fast $words{rest}" 2>&1\n'


def _inside(text: str) -> str:
    """For use between double quotes that are evaluated once more."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")

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
top={workdir} state={state} log={log}
mkdir -p "$state" "$CARGO_HOME"
again() {{ "$@" || {{ sleep 3; "$@"; }}; }}
lock() {{
  [ ! -f Cargo.lock ] || return 0
  today=$(date -u +%Y-%m-%d)
  for cut in {cuts}; do
    [ "$cut" \\< "$today" ] || break
    if RUSTC_BOOTSTRAP=1 cargo -Zunstable-options generate-lockfile --publish-time "${{cut}}T00:00:00Z" 2>"$state/lock.err"; then
      echo "cargo, as of $cut: Cargo.lock" >> "$log"
      rm -f "$state/lock.err"
      return 0
    fi
    # A crate of that day may have been withdrawn since, and what came in its place is of a later day.
    grep -qE 'is (yanked|unavailable)' "$state/lock.err" || break
  done
  tail -n 5 "$state/lock.err" >&2 || true
  rm -f "$state/lock.err"
  again cargo generate-lockfile && echo "cargo, latest: Cargo.lock" >> "$log"
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
_SELECT: Final = """\
bad=" $(cat {state}/bad.{name} 2>/dev/null || true) "
selection={selection}
if [ "$bad" != "  " ] || [ -z "$selection" ]; then
  case $bad in *" lib "*) ;; *) selection="{others}";; esac
  for one in {targets}; do
    case $bad in *" ${{one%%=*}} "*) continue;; esac
    [ ! -e {top}/"${{one#*=}}" ] || selection="$selection --test=${{one%%=*}}"
  done
fi
"""
_COMPILE: Final = """\
cd "$top"/{root}
lock
[ -z "{tracked}" ] || cp Cargo.lock "$state/lock.{name}"
rm -f "$state/bad.{name}" "$state/updates.{name}"
locked=--locked
attempt() {{
  ! "$1" >"$state/out" 2>&1 || return 0
  if [ -n "$locked" ] && grep -qE 'needs to be updated|cannot update the lock file' "$state/out"; then
    locked=
    ! "$1" >"$state/out" 2>&1 || return 0
  fi
  tail -n 100 "$state/out" >&2
  return 1
}}
every() {{ eval "{cargo} --no-run $locked $selection $words" && {examples}; }}
mend() {{
  # A crate that this compiler refuses: the newest version that will do in its place.
  crate=$(sed -nE -e 's/^error: could not compile `([A-Za-z0-9_-]+)`.*/\\1/p' \\
    -e 's/^error: failed to run custom build command for `([A-Za-z0-9_-]+) v[^`]*`.*/\\1/p' "$state/out" | head -n 1)
  [ -n "$crate" ] || return 1
  version=$(sed -nE -e "s/.*[/]registry[/]src[/][^/]+[/]$crate-([0-9][0-9A-Za-z.-]*)[/].*/\\1/p" \\
    -e "s/.*custom build command for .$crate v([0-9][0-9A-Za-z.-]*).*/\\1/p" "$state/out" | head -n 1)
  [ -n "$version" ] || return 1
  said=$(cargo update -p "$crate@$version" 2>&1) || said=$(cargo update -p "$crate:$version" 2>&1) || return 1
  newer=$(printf '%s\\n' "$said" | sed -nE "s/^ *Updating $crate v$version -> v([^ ]+).*/\\1/p" | head -n 1)
  [ -n "$newer" ] || return 1
  [ -z "{tracked}" ] || echo "$crate@$version $newer" >> "$state/updates.{name}"
  echo "$crate $version does not compile by this compiler: $newer is used" >> "$log"
}}
all_that_compile() {{ eval "{build} --keep-going $locked $words"; }}
{select}done=
for words in {candidates}; do
  for round in 1 2 3 4 5 6; do
    if attempt every; then done=1; break 2; fi
    mend || break
  done
  echo "does not compile: cargo test $words" >> "$log"
done
[ -n "$done" ] || for words in {candidates}; do
  attempt all_that_compile || true
  ! grep '^error: could not compile' "$state/out" | grep -qvE '[(](test "|lib test|bin "[^"]*" test)' || continue
  sed -nE -e 's/^error: could not compile .*[(]test "([^"]*)"[)].*/\\1/p' \\
    -e 's/^error: could not compile .*[(](lib|bin "[^"]*") test[)].*/lib/p' "$state/out" |
    sort -u | grep -vxF {changed} > "$state/bad" || true
  tr '\n' ' ' < "$state/bad" | sed 's/ *$//' > "$state/bad.{name}"
  {select}  if attempt every; then
    done=1
    echo "left out, because they do not compile: $(cat "$state/bad.{name}")" >> "$log"
    break
  fi
done
[ -n "$done" ] || exit 1
[ -n "$locked" ] || echo "Cargo.lock does not fit Cargo.toml, and is brought up to date for each run" >> "$log"
if [ -n "{tracked}" ]; then
  cmp -s "$state/lock.{name}" Cargo.lock || cp "$state/lock.{name}" Cargo.lock
  rm -f "$state/lock.{name}"
fi
rm -f "$state/out" "$state/bad"
printf '%s' "$words" > "$state/arguments.{name}"
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
    targets: tuple[tuple[str, str], ...] = ()
    """Names and roots of the test programs that report as libtest does."""
    others: tuple[str, ...] = ("--lib", "--bins")
    """Arguments that choose what holds tests besides."""
    custom: bool = False
    """There are test programs that report in a way of their own."""
    changed: tuple[str, ...] = ()
    """Those of `targets` that the fix changes, which are compiled in any case."""
    locked: bool = False
    """The repository holds its lock file."""
    examples: bool = False
    """Tests run the package's examples."""
    threads: int = 0
    outdated: bool = False
    """The compiler is older than packages ask for."""

    @property
    def which(self) -> tuple[str, ...]:
        """Arguments that choose packages: by place, because a package's name may also be one of its dependencies'."""
        if not self.packages:
            return ("--workspace",)
        return tuple(word for place, name in self.packages for word in ("-p", f"file://{WORKDIR}/{place}".rstrip("/") + f"#{name}"))

    def cargo(self, command: str, *words: str) -> str:
        """For use between double quotes that are evaluated once more; without the words that choose features."""
        return _inside(shlex.join(("cargo", command, *self.which, *(("--ignore-rust-version",) if self.outdated else ()), *words)))

    @property
    def select(self) -> str:
        """Shell that sets `selection` to the arguments that choose targets."""
        return _SELECT.format(
            state=_STATE,
            name=self.name,
            selection="" if self.custom else "--tests",
            others=" ".join(self.others),
            targets=" ".join(shlex.quote(f"{name}={path}") for name, path in self.targets),
            top=WORKDIR,
        )


def prelude(exports: Mapping[str, str], *, cuts: Sequence[str], older: bool) -> str:
    """What every step begins with; `older` says that the compiler is older than the commit, so that crates may be too new for it."""
    lines = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted({**exports, **ENVIRONMENT}.items()))
    return _PRELUDE.format(
        versions="fallback" if older else "allow",
        exports=lines,
        path=f"{_BIN}:{_HOME}/bin:/usr/local/cargo/bin:/root/.cargo/bin:$PATH",
        workdir=WORKDIR,
        state=_STATE,
        log=INSTALL_LOG,
        cuts=" ".join(cuts),
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
            f'    if eval "{unit.cargo("test", "--tests")} --no-run --locked $words"; then break; fi',
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
    """Compiles the tests of one unit, and keeps which features and which test programs did."""
    return _COMPILE.format(
        root=shlex.quote(unit.root),
        name=unit.name,
        tracked="1" if unit.locked else "",
        cargo=unit.cargo("test"),
        build=unit.cargo("build", "--tests"),
        examples=f'eval "{unit.cargo("build", "--examples")} $locked $words"' if unit.examples else "true",
        select=unit.select,
        candidates=" ".join(shlex.quote(shlex.join(words)) for words in unit.candidates),
        changed=" ".join(f"-e {shlex.quote(name)}" for name in unit.changed or ("",)),
    )


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


def run_script(unit: Unit, selection: Sequence[str] = ()) -> str:
    """Runs the tests of one unit, or the targets of `selection`; everything is printed, for the report is in it."""
    rest = f" -- --test-threads={unit.threads}" if unit.threads else ""
    chosen = f"selection={shlex.quote(shlex.join(selection))}\n" if selection else unit.select
    words = f"words=$(cat {_STATE}/arguments.{unit.name} 2>/dev/null) || words={shlex.quote(shlex.join(unit.candidates[0]))}\n"
    examples = f'eval "{unit.cargo("build", "--examples")} --offline $words" 2>&1\n' if unit.examples else ""
    updates = f"{_STATE}/updates.{unit.name}"
    update = f'while read -r one version; do cargo update --offline -p "$one" --precise "$version" 2>&1; done < {updates}'
    words += f"[ ! -f {updates} ] || {update}\n"
    run = f'eval "exec {unit.cargo("test")} --offline --no-fail-fast $selection $words{rest}" 2>&1\n'
    return f'export PATH={_BIN}:"$PATH"\n{words}{chosen}{examples}{run}'


def _inside(text: str) -> str:
    """For use between double quotes that are evaluated once more."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")

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

from podgym.envs.build.languages.rust.shell import COMPILE, PRELUDE, SELECT, SETUP
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
        return SELECT.format(
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
    return PRELUDE.format(
        older="1" if older else "",
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
    return SETUP.format(version=shlex.quote(version), bin=_BIN, config=shlex.quote(config))


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
    return COMPILE.format(
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

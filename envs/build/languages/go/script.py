"""The shell that fetches a Go project's modules, compiles its tests, and runs them.

The go command is never let fetch another one, and while tests run it has neither proxy nor checksum database. What go.mod and
go.sum lack is put into them only for the moment of a build, and again in each run of the tests, so that git sees no change.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from podgym.envs.build.plan import INSTALL_LOG, TOOLS, WORKDIR

__all__ = ["ENVIRONMENT", "PATH", "Unit", "compile_script", "download_script", "extra_script", "init_script", "prelude", "run_script"]

_STATE: Final = f"{TOOLS}/go-state"
_GOPATH: Final = f"{TOOLS}/go"
PATH: Final = f"{_GOPATH}/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT: Final[Mapping[str, str]] = {
    "GOPATH": _GOPATH,
    "GOMODCACHE": f"{_GOPATH}/pkg/mod",
    "GOCACHE": f"{TOOLS}/go-build",
    "GOTOOLCHAIN": "local",
    "GOENV": "off",
}
"""Of the build, the tests and the agent alike; tests and agent are offline besides."""

_PRELUDE: Final = """\
set -eu
{exports}export PATH="{gopath}/bin:$PATH:{path}"
unset GOFLAGS GOWORK || true
top={workdir} state={state} log={log} cut={cut} need={need}
mkdir -p "$state" "$GOMODCACHE" "$GOCACHE"
again() {{ "$@" || {{ sleep 3; "$@"; }}; }}
release() {{
  (cd / && GO111MODULE=on GOFLAGS= GOTOOLCHAIN=$1 go version >&2) || return 1
  chmod -R u+w "$GOMODCACHE/golang.org/toolchain@v0.0.1-$1".*
  mkdir -p {gopath}/bin
  ln -sf "$GOMODCACHE/golang.org/toolchain@v0.0.1-$1".*/bin/* {gopath}/bin/
  hash -r
}}
have=$(cd / && go env GOVERSION)
if [ -n "$need" ] && [ "$have" != "$need" ] && [ "$(printf '%s\\n' "$have" "$need" | sort -V | tail -n 1)" = "$need" ]; then
  release "$need" || {{ echo "go.mod asks for $need; there is $have." >&2; exit 1; }}
  echo "go, from the module proxy: $need" >> "$log"
fi
clean() {{ find "$GOMODCACHE/cache/download" -type f -name '*.zip' -delete 2>/dev/null || true; }}
"""
_COMPILE: Final = """\
cd {directory}
writable={writable}
for file in go.mod go.sum; do [ ! -f "$file" ] || cp "$file" "$state/$file.{name}"; done
programs() {{ GOFLAGS="$writable $flags" go test -vet=off -exec=true {tags} "$@"; }}
every() {{
  flags=none
  for one in {modes}; do
    if again env GOFLAGS="$writable $one" go list -deps -test {tags} {packages} >/dev/null; then flags=$one; break; fi
  done
  if [ "$flags" = none ]; then
    flags= && echo "go list fails: some imports cannot be had" >> "$log"
  elif [ "$flags" = -mod=mod ]; then
    echo "go.mod or go.sum is not whole; both are completed for each run" >> "$log"
  fi
  ! programs {packages} >"$state/out" 2>&1 || return 0
  if grep -q 'invalid reference to' "$state/out"; then
    # Since 1.23 the linker refuses what older code takes from the runtime.
    flags="$flags -ldflags=-checklinkname=0"
    ! programs {packages} >"$state/out" 2>&1 || return 0
  fi
  tail -n 100 "$state/out" >&2
  return 1
}}
older() {{
  [ -n "{older}" ] || return 1
  versions='{{{{range .Versions}}}}{{{{.}}}} {{{{end}}}}'
  for other in $(cd / && GO111MODULE=on GOFLAGS= go list -m -versions -f "$versions" golang.org/toolchain | tr ' ' '\\n' |
    grep -E "^v0[.]0[.]1-go{older}([.][0-9]+)?[.]$(go env GOOS)-$(go env GOARCH)\\$" | sort -V | tail -n 1); do
    other=${{other#v0.0.1-}} other=${{other%.*}}
    kept=$flags proxy=$(go env GOPROXY)
    release "$other" || return 1
    # Before 1.13 there is neither a proxy by default nor a list of them, and before 1.14 no such flag.
    case $other in go1.[2-9]|go1.[2-9].*|go1.1[0-3]|go1.1[0-3].*) writable= GOPROXY=${{proxy%%[,|]*}} && export GOPROXY ;; esac
    every || programs {touched} >/dev/null 2>&1 || {{ rm -f {gopath}/bin/go {gopath}/bin/gofmt; hash -r; flags=$kept; return 1; }}
    echo "go, from the module proxy, because what the fix touches does not compile by $have: $other" >> "$log"
    return 0
  done
  return 1
}}
generated() {{
  [ -n {generators} ] || return 1
  timeout 600 sh -c {generators} >&2 || true
  # What it makes anew of the repository's own files is the repository's business.
  git -C "$top" checkout -q -- . || return 1
  [ -n "$(git -C "$top" ls-files --others | head -n 1)" ] && every || return 1
  echo "made by CI's generators, without which the tests do not compile" >> "$log"
}}
if ! every && ! generated && {{ [ -z "{touched}" ] || programs {touched} >/dev/null 2>&1 || ! older; }}; then
  echo "not all test packages compile" >> "$log"
  good={no_source}
  for one in {touched}; do if GOFLAGS="$writable $flags" go build -o /dev/null {tags} "$one"; then good=1; fi; done
  [ -n "$good" ] || exit 1
fi
printf '%s' "$flags" > "$state/flags.{name}"
rm -f "$state/out"
for file in {tracked}; do
  [ ! -f "$state/$file.{name}" ] || cmp -s "$state/$file.{name}" "$file" || cp "$state/$file.{name}" "$file"
done
rm -f "$state/go.mod.{name}" "$state/go.sum.{name}"
cd "$top"
clean
"""
_INIT: Final = """\
cd {directory}
direct='{{{{if not (or .Main .Indirect)}}}}{{{{.Path}}}} {{{{with .Time}}}}{{{{.Format "2006-01-02"}}}}{{{{end}}}}{{{{end}}}}'
versions='{{{{range .Versions}}}}{{{{.}}}} {{{{end}}}}' time='{{{{with .Time}}}}{{{{.Format "2006-01-02"}}}}{{{{end}}}}'
printf 'module %s\\n\\ngo 1.16\\n' {path} > go.mod
export GOFLAGS=-mod=mod
for pinned in {pins}; do go get "$pinned" >&2 || echo "not had as it was pinned: $pinned" >> "$log"; done
again go mod tidy -e
go list -m -f "$direct" all > "$state/direct" || true
while read -r path day; do
  [ -n "$path" ] && [ "$day" \\> "$cut" ] || continue
  case " {pins} " in *" $path@"*) continue;; esac
  for one in $(go list -m -versions -f "$versions" "$path" | tr ' ' '\\n' | grep . | tac | head -n 60); do
    day=$(go list -m -f "$time" "$path@$one") || continue
    if [ ! "$day" \\> "$cut" ]; then
      go get "$path@$one" >&2 && echo "go, as of $cut: $path@$one" >> "$log"
      break
    fi
  done
done < "$state/direct"
rm -f "$state/direct"
again go mod tidy -e
cd "$top"
"""


@dataclass(frozen=True, slots=True)
class Unit:
    """What one run of `go test` compiles and tests: a module, or the part of it that the fix touches."""

    directory: str
    """Relative to the repository."""
    packages: tuple[str, ...]
    """Patterns."""
    touched: tuple[str, ...] = ()
    """Those of `packages`, as directories, that hold sources and that the fix changes."""
    name: str = "0"
    tags: tuple[str, ...] = ()
    tracked: tuple[str, ...] = ()
    """Of go.mod and go.sum, those that are in the repository."""
    vendor: bool = False
    link: str = ""
    """The path that the repository is imported under, where it is compiled without modules."""
    older: str = ""
    """The minor version that the code is of, where the image has a newer one."""
    generators: tuple[tuple[str, str], ...] = ()
    """Directory and line of what makes files that the repository lacks."""
    alone: bool = False
    """There is a workspace above that does not use the module."""

    @property
    def place(self) -> str:
        """Where its commands run."""
        top = f"{_GOPATH}/src/{self.link}" if self.link else WORKDIR
        return f"{top}/{self.directory}" if self.directory else top

    @property
    def env(self) -> dict[str, str]:
        """What decides how go finds its packages."""
        env = {"GO111MODULE": "off"} if self.link else {}
        return {**env, **({"GOWORK": "off"} if self.alone else {})}

    @property
    def tag_words(self) -> str:
        """Quoted."""
        return shlex.quote(f"-tags={','.join(self.tags)}") if self.tags else ""


def prelude(exports: Mapping[str, str], *, cut: str, need: str) -> str:
    """What every step begins with; `need` is a release that the image may be too old for."""
    lines = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted({**exports, **ENVIRONMENT}.items()))
    return _PRELUDE.format(exports=lines, path=PATH, workdir=WORKDIR, state=_STATE, log=INSTALL_LOG, cut=cut, need=need, gopath=_GOPATH)


def download_script(directories: Sequence[str]) -> str:
    """Fetches the modules that go.mod files name, before the sources are there."""
    lines = ["go version >&2", "export GOFLAGS=-modcacherw"]
    for directory in directories:
        failed = shlex.quote(f"not all modules of {directory or 'go.mod'} could be fetched")
        lines.append(f'cd "$top"/{shlex.quote(directory)} && again go mod download || echo {failed} >> "$log"')
    return "\n".join([*lines, "clean"]) + "\n"


def init_script(unit: Unit, path: str, pins: Mapping[str, str]) -> str:
    """Makes a go.mod where there is none."""
    listed = " ".join(shlex.quote(f"{name}@{version}") for name, version in pins.items())
    return _INIT.format(directory=shlex.quote(unit.place), path=shlex.quote(path), pins=listed)


def compile_script(unit: Unit) -> str:
    """Compiles all test programs of a unit, without running them."""
    start = "".join(f"export {name}={value}\n" for name, value in unit.env.items())
    if unit.link:
        link = shlex.quote(f"{_GOPATH}/src/{unit.link}")
        start += f'mkdir -p "$(dirname {link})" && ln -sfn {WORKDIR} {link}\n'
    modes = ["''"] if unit.link else ["''", *(("-mod=vendor",) if unit.vendor else ()), "-mod=mod"]
    return start + _COMPILE.format(
        directory=shlex.quote(unit.place),
        name=unit.name,
        writable="" if unit.link else "-modcacherw",
        modes=" ".join(modes),
        older=unit.older,
        gopath=_GOPATH,
        tags=unit.tag_words,
        packages=shlex.join(unit.packages),
        no_source="" if unit.touched else "1",
        touched=shlex.join(unit.touched),
        tracked=" ".join(unit.tracked),
        generators=shlex.quote("\n".join(f'cd "{WORKDIR}"/{shlex.quote(place)} && {line}' for place, line in unit.generators)),
    )


def extra_script(unit: Unit, gomod: str) -> str:
    """Fetches the modules of the fix's go.mod; nothing of it stays but the modules."""
    download = 'go mod download -modfile="$more/go.mod"'
    return (
        "more=$(mktemp -d)\n"
        f"printf '%s' {shlex.quote(gomod)} > \"$more/go.mod\"\n"
        f"cd {shlex.quote(unit.place)}\n"
        f'again env GOWORK=off GOFLAGS="-modcacherw -mod=mod" {download} all >&2 || env GOWORK=off GOFLAGS=-modcacherw {download} >&2 ||\n'
        '  echo "not fetched: modules that are named later" >&2\n'
        'cd "$top" && rm -rf "$more"\nclean\n'
    )


def run_script(unit: Unit, packages: Sequence[str], *, timeout_s: float, only: Sequence[str] = ()) -> str:
    """Runs the tests of a unit, or `only` those of them; the report is what is printed. A package is stopped after `timeout_s`."""
    words = f"-json -count=1 -vet=off -p 2 -timeout {max(60, int(timeout_s))}s"
    names = shlex.quote(f"^({'|'.join(only)})$")
    words += f" -run {names}" if only else ""
    return (
        f'export PATH="{_GOPATH}/bin:$PATH"\ncd {shlex.quote(unit.place)} || exit 96\n'
        f"GOFLAGS=$(cat {_STATE}/flags.{unit.name} 2>/dev/null) || GOFLAGS=\n"
        f"export GOFLAGS\nexec go test {words} {unit.tag_words} {shlex.join(packages)}\n"
    )

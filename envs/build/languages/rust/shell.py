"""Shell that `podgym.envs.build.languages.rust.script` fills in, for `str.format`."""

from __future__ import annotations

from typing import Final

__all__ = ["COMPILE", "PRELUDE", "SELECT", "SETUP"]

PRELUDE: Final = """\
set -eu
{exports}export PATH={path} CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS=allow
unset RUSTUP_TOOLCHAIN RUSTFLAGS RUSTDOCFLAGS CARGO_BUILD_RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_NET_OFFLINE || true
top={workdir} state={state} log={log} older={older}
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
SETUP: Final = """\
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
SELECT: Final = """\
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
COMPILE: Final = """\
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
  # The network's failure, or memory's, is not the code's.
  if grep -qiE 'failed to download|failed to fetch|failed to get|network error|timed out|signal: 9' "$state/out"; then
    sleep 5
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
features() {{
  for words in {candidates}; do
    for round in 1 2 3 4 5 6; do
      if attempt every; then done=1; return 0; fi
      mend || break
    done
    echo "does not compile: cargo test $words" >> "$log"
  done
}}
features
if [ -z "${{done}}{tracked}" ] && [ -n "$older" ]; then
  # Crates of that day may need a newer compiler.
  export CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS=fallback
  rm -f Cargo.lock
  lock
  features
fi
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

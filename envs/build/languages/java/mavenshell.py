"""Shell that `podgym.envs.build.languages.java.mavenscript` fills in, for `str.format`."""

from __future__ import annotations

from typing import Final

__all__ = ["AHEAD", "CENTRAL", "FUNCTIONS", "INSTALL", "TEST"]

CENTRAL: Final = """\
place=$(mktemp -d)
super=org/apache/maven/model/pom-4.0.0.xml
(cd "$place" && for jar in {maven}/lib/maven-model-builder-*.jar; do {jdk}/bin/jar xf "$jar" $super; done) || true
central=$(sed -n 's:.*<url>\\(.*\\)</url>.*:\\1:p' "$place/$super" 2>/dev/null | head -n 1)
rm -rf "$place"
for file in {tools}/settings.xml {tools}/settings-tested.xml; do
  if [ -n "$central" ]; then sed -i "s|@CENTRAL@|$central|" "$file"
  else sed -i 's|<mirrors>.*@CENTRAL@.*</mirrors>||' "$file"; fi
done
"""

AHEAD: Final = """\
ahead=$(mktemp -d)
cp -R . "$ahead/tree"
cd "$ahead/tree"/{top}
{released}{mvn} -fn -q -DskipTests package > "$ahead/log" 2>&1 || true
cd / && rm -rf "$ahead"
find {tools}/m2 \\( -name '*.lastUpdated' -o -name _remote.repositories -o -name resolver-status.properties \\) -delete
echo "Maven: dependencies fetched by the POMs alone" >> "$log"
"""

FUNCTIONS: Final = """\
root=$(pwd -P)
tested() {{
  rm -rf {marks}
  for module; do mkdir -p "{marks}$root/$module" && : > "{marks}$root/$module/yes"; done
}}
# Maven's compiler may keep classes whose source is gone, or that fit what another module was: a change anew from there on.
renew() {{
  later=
  for module in {modules}; do
    if [ -z "$later" ] && [ -e {tools}/built ]; then
      set -- "$module/pom.xml" "$module/src" "$module/test" {outside}
      [ -n "$(find "$@" -newer {tools}/built -print 2>/dev/null | head -n 1)" ] || continue
    fi
    later=1
    rm -rf "$module/target/classes" "$module/target/test-classes" "$module/target/maven-status" "$module/target"/*.jar \\
      "$module/target/generated-sources/annotations" "$module/target/generated-test-sources/test-annotations"
  done
}}
export PODGYM_SETTINGS={tools}/settings-tested.xml
"""

TEST: Final = """\
set -u
{functions}phase=$(cat {tools}/phase 2>/dev/null || echo test)
rc=0
renew
{build}"""

INSTALL: Final = """\
cd {top}
{functions}warm=$(mktemp)
replace() {{
{released}}}
build() {{
  rc=0
  for place in {reports}; do rm -f "$place"/TEST-*.xml; done
{build}}}
reported() {{
  for place in {reports}; do
    for file in "$place"/TEST-*.xml; do [ ! -f "$file" ] || printf '%s\\n' "$file"; done
  done
}}
# The build worked where it ended well, or where nothing but a test made it end badly.
worked() {{
  [ "$rc" != 0 ] || return 0
  reported | xargs -r grep -lE '<(failure|error)[ />]' 2>/dev/null | head -n 1 | grep -q .
}}
again= replaced=
# Plug-ins that need what no repository has. What the build makes itself is no such thing: it is there in a later phase.
lacking() {{
  awk '
    match($0, / Plugin [^ :]+:[A-Za-z0-9_.-]+:[^ ]+ or one of its dependencies could not be resolved/) {{
      split(substr($0, RSTART + 8), part, ":"); plugin = part[1] ":" part[2]
    }}
    plugin != "" && match($0, /Could not find artifact [^ ]+/) {{
      split(substr($0, RSTART + 24), part, ":"); print plugin, part[1] ":" part[2]
    }}
    /-> [[]Help/ || !/^[[]ERROR[]]/ {{ plugin = "" }}' "$warm" |
    while read -r plugin artifact; do
      case " {own} " in *" $plugin "* | *" $artifact "*) ;; *) printf '%s\\n' "${{plugin#*:}}" ;; esac
    done
}}
absent() {{
  [ -f {leave_out} ] || return 1
  name=$(lacking | grep -vxF -f {left_out} | head -n 1)
  [ -n "$name" ] || return 1
  echo "$name" >> {left_out}
  echo "Maven: without the plug-in $name, which cannot be had" >> "$log"
}}
any_phase() {{
  for phase in {phases}; do
    build > "$warm" 2>&1
    ! worked || return 0
    tail -n 60 "$warm"
    find {tools}/m2 -name '*.lastUpdated' -delete
    if [ -z "$replaced" ] && grep -q 'SNAPSHOT' "$warm"; then replace; replaced=1 again=1; fi
    if grep -qE 'Could not transfer|timed out|onnection reset|status: 5' "$warm"; then again=1; fi
  done
  return 1
}}
without_told() {{
  [ -s {tools}/told ] || return 1
  echo "Maven: without CI's own arguments, with which it does not build: $(cat {tools}/told)" >> "$log"
  : > {tools}/told
}}
# Last, because what a plug-in makes may be needed.
without_absent() {{
  for round in 1 2 3 4; do
    absent || return 1
    ! any_phase || return 0
  done
  return 1
}}
if ! any_phase && {{ [ -z "$again" ] || ! any_phase; }} && {{ ! without_told || ! any_phase; }} && ! without_absent; then
  echo 'Maven cannot build the modules under test: see above.' >&2
  exit 1
fi
echo "$phase" > {tools}/phase
[ -z "{has_warm}" ] || [ -n "$(reported)" ] || echo 'no test ran while installing' >> "$log"
find {tools}/m2 \\( -name '*.lastUpdated' -o -name _remote.repositories -o -name resolver-status.properties \\) -delete
PODGYM_ONLINE=
export PODGYM_ONLINE
build > "$warm" 2>&1
if worked; then
  echo "Maven: built and tested offline, up to the phase $phase" >> "$log"
else
  tail -n 60 "$warm"
  echo 'Maven: the build does not work offline; resolving once more' >> "$log"
  PODGYM_ONLINE=1
  {mvn} -q -fae dependency:go-offline > /dev/null 2>&1 || true
  build > "$warm" 2>&1
  find {tools}/m2 \\( -name '*.lastUpdated' -o -name _remote.repositories -o -name resolver-status.properties \\) -delete
fi
for place in {reports}; do rm -rf "$place"; done
rm -rf "$warm"
: > {tools}/built
"""

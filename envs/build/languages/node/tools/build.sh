# Build what changed: `sh build.sh TOP ([-k KEPT] DIRECTORY COMMAND)...`, each COMMAND in its DIRECTORY below TOP, in order. A build
# runs where a file of its directory is newer than the last one, or where one before it ran. A failure leaves what was built before it.
# KEPT names directories below DIRECTORY whose files are put back where a build removed them and failed, or made nothing.
top=$1; shift
stamps=/opt/podgym/node/stamps; mkdir -p "$stamps"
ran=
while [ $# -ge 2 ]; do
  kept=
  if [ "$1" = -k ]; then kept=$2; shift 2; fi
  stamp=$stamps/$(printf '%s\n%s' "$1" "$2" | cksum | tr ' ' -)
  cd "$top/$1" || exit 96
  if [ -n "$ran" ] || [ ! -e "$stamp" ] ||
     [ -n "$(find . \( -name node_modules -o -name .git \) -prune -o \( -type f -o -type d \) -newer "$stamp" -print | head -n 1)" ]; then
    ran=1 failed='' aside=''
    echo "podgym: building in ./$1: $2"
    if [ -n "$kept" ]; then
      aside=$(mktemp -d)
      for one in $kept; do
        [ ! -d "$one" ] || { mkdir -p "$aside/$one" && cp -a "$one/." "$aside/$one"; }
      done
    fi
    PATH="$top/${1:+$1/}node_modules/.bin:$top/node_modules/.bin:$PATH" sh -c "$2" </dev/null ||
      { failed=1; echo "podgym: the build in ./$1 failed: $2"; }
    for one in $kept; do
      if [ -d "$aside/$one" ] && { [ -n "$failed" ] || [ -z "$(find "$one" -type f 2>/dev/null | head -n 1)" ]; }; then
        mkdir -p "$one" && cp -an "$aside/$one/." "$one"
      fi
    done
    [ -z "$aside" ] || rm -rf "$aside"
    touch "$stamp"
  fi
  shift 2
done

# Add packages to an installation that is there: `sh add.sh DATE DIRECTORY NAME@RANGE...`, each and what it needs as of DATE. What the
# installation has already is left, but for the named packages themselves; one named `?NAME@RANGE` is only added where it is missing.
set -u
date=$1 directory=$2; shift 2
log=/opt/podgym/install.log
work=$(mktemp -d)
printf '{"private": true}' >"$work/package.json"
for one in "$@"; do
  wanted=${one#[?]}
  name=${wanted%%@npm:*}; [ "$name" != "$wanted" ] || name=${wanted%@*}
  if [ "$wanted" != "$one" ] && { [ -e "${directory:-.}/node_modules/$name" ] || [ -e "node_modules/$name" ]; }; then continue; fi
  one=$wanted
  if npm install --prefix "$work" --cache "$work/cache" --ignore-scripts --no-audit --no-fund --legacy-peer-deps "--before=$date" "$one" >&2 ||
     npm install --prefix "$work" --cache "$work/cache" --ignore-scripts --no-audit --no-fund --legacy-peer-deps "$one" >&2; then
    echo "added in ${directory:-.}: $one" >>"$log"
    mkdir -p "${directory:-.}/node_modules"
    rm -rf "${directory:-.}/node_modules/$name"
  else
    echo "not installed: $one" >>"$log"
  fi
done
to="${directory:-.}/node_modules"
if [ -d "$work/node_modules" ]; then
  find "$work/node_modules" -type f \( -name '*.patch' -o -name '*.diff' -o -name '*.orig' -o -name '*.rej' \) -exec rm -f {} +
  (cd "$work/node_modules" && ls -d .bin/* @*/* [!@.]* 2>/dev/null) | while read -r one; do
    case $one in .bin/*) [ ! -L "$to/$one" ] || [ -e "$to/$one" ] || rm -f "$to/$one" ;; esac
    [ -e "$to/$one" ] || { mkdir -p "$to/$(dirname "$one")" && mv "$work/node_modules/$one" "$to/$one"; }
  done
fi
rm -rf "$work"

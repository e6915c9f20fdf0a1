# Build what changed: `sh build.sh TOP (DIRECTORY COMMAND)...`, each COMMAND in its DIRECTORY below TOP, in order. A build runs where
# a file of its directory is newer than the last one, or where one before it ran. A failure leaves what was built before it.
top=$1; shift
stamps=/opt/podgym/node/stamps; mkdir -p "$stamps"
ran=
while [ $# -ge 2 ]; do
  stamp=$stamps/$(printf '%s\n%s' "$1" "$2" | cksum | tr ' ' -)
  cd "$top/$1" || exit 96
  if [ -n "$ran" ] || [ ! -e "$stamp" ] ||
     [ -n "$(find . \( -name node_modules -o -name .git \) -prune -o \( -type f -o -type d \) -newer "$stamp" -print | head -n 1)" ]; then
    ran=1
    echo "podgym: building in ./$1: $2"
    PATH="$top/${1:+$1/}node_modules/.bin:$top/node_modules/.bin:$PATH" sh -c "$2" </dev/null ||
      echo "podgym: the build in ./$1 failed: $2"
    touch "$stamp"
  fi
  shift 2
done

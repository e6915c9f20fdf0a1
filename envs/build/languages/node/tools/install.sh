# Install the dependencies of one workspace: `sh install.sh MANAGER LOCK DATE EPOCH ROOT [PACKAGE-DIRECTORY...]`, in the top directory.
# MANAGER is npm, yarn, berry, pnpm, bun, or siblings (npm, for packages that lerna would link); LOCK the name of the lock file or -. In order: exactly by the lock file, by the lock file
# where it fits, from registries as they were on DATE, from registries as they are; each once more without what no registry has.
# SPARE in the environment names packages that no test needs. Manifests and lock files are as before afterwards. Ends with 0 where one of the ways worked.
set -u
manager=$1 lock=$2 date=$3 epoch=$4 root=$5; shift 5
tools=/opt/podgym/node log=/opt/podgym/install.log where=${root:-.}
note() { printf '%s\n' "$*" >>"$log"; }
top=$(pwd)
cd "$top/$root" || exit 1
kept=$(mktemp -d)
cache=$(mktemp -d)
for one in "" "$@"; do
  mkdir -p "$kept/$one"
  [ ! -f "$top/$one/package.json" ] || cp "$top/$one/package.json" "$kept/$one/package.json"
done
mkdir -p "$kept/$root"
files="package.json package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock bun.lockb .pnp.cjs .pnp.loader.mjs .yarnrc.yml .npmrc"
for one in $files; do [ ! -f "$one" ] || cp "$one" "$kept/$root/$one"; done
restore() {
  for one in "" "$@"; do [ ! -f "$kept/$one/package.json" ] || cp "$kept/$one/package.json" "$top/$one/package.json"; done
  cd "$top/$root"
  for one in $files; do if [ -f "$kept/$root/$one" ]; then cp "$kept/$root/$one" "$one"; else rm -f "$one"; fi; done
  rm -rf "$kept" "$cache"
}
export npm_config_cache="$cache/npm" YARN_CACHE_FOLDER="$cache/yarn" BUN_INSTALL_CACHE_DIR="$cache/bun"
export npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false npm_config_loglevel=error npm_config_progress=false
export npm_config_fetch_retries="${npm_config_fetch_retries:-3}" npm_config_fetch_retry_mintimeout=1000 npm_config_fetch_retry_maxtimeout=8000
export npm_config_engine_strict=false
unset NODE_ENV npm_config_production
# Not the registry that the project's own settings name, which need not be there; and names of secrets in them mean nothing here.
registry=$(cd / && npm config get registry)
export npm_config_registry="$registry" YARN_REGISTRY="$registry"
for one in $(cat .npmrc .yarnrc.yml 2>/dev/null | grep -o '[$]{[A-Za-z_][A-Za-z0-9_]*' | tr -d '${' | sort -u); do eval "export $one=\"\${$one-}\""; done
[ ! -f .npmrc ] || sed -i '/^ *\(use-node-version\|min-release-age\|before\) *=/d' .npmrc
export YARN_NODE_LINKER=node-modules YARN_ENABLE_SCRIPTS=0 YARN_ENABLE_TELEMETRY=0 YARN_GLOBAL_FOLDER="$cache/berry" \
  YARN_ENABLE_PROGRESS_BARS=0 YARN_ENABLE_GLOBAL_CACHE=1 YARN_NM_MODE=classic YARN_CHECKSUM_BEHAVIOR=ignore
[ "$manager" != berry ] || export YARN_NPM_REGISTRY_SERVER="${registry%/}" YARN_ENABLE_HARDENED_MODE=0 YARN_ENABLE_STRICT_SSL=true
[ -z "${HTTPS_PROXY:-}" ] || export YARN_HTTPS_PROXY="$HTTPS_PROXY"
[ -z "${HTTP_PROXY:-}" ] || export YARN_HTTP_PROXY="$HTTP_PROXY"
[ -z "${NODE_EXTRA_CA_CERTS:-}" ] || export YARN_HTTPS_CA_FILE_PATH="$NODE_EXTRA_CA_CERTS"
[ "$manager" != berry ] || unset YARN_CACHE_FOLDER
case $lock in
  package-lock.json | npm-shrinkwrap.json | yarn.lock) node $tools/registry.js "$registry" "$lock" || true ;;
esac
age=$(( ($(date +%s) - epoch) / 60 ))

members=$#
by_npm() {
  # An npm that knows no workspaces would leave out their packages.
  [ "$members" = 0 ] || [ "$(npm --version | cut -d. -f1)" -ge 7 ] || return 1
  npm install --ignore-scripts --no-package-lock "$@"
}
by_pnpm() {
  alone=; [ -f pnpm-workspace.yaml ] || alone=--ignore-workspace
  pnpm install $alone --ignore-scripts --store-dir "$cache/pnpm" --config.strict-peer-dependencies=false \
    --config.manage-package-manager-versions=false --config.pm-on-fail=ignore --config.verify-deps-before-run=false \
    --config.engine-strict=false --config.confirm-modules-purge=false "$@" >&2
}
by_yarn() { yarn install --ignore-scripts --ignore-engines --non-interactive --no-progress "$@" >&2; }
by_berry() { [ -f yarn.lock ] || : >yarn.lock; yarn install "$@" >&2; }
portable() { ! grep -Eqs '"(workspace|catalog|patch|portal):' package.json $(for one in "$@"; do printf '%s/%s/package.json ' "$top" "$one"; done); }

exact() {
  case $manager in
    npm) npm ci --ignore-scripts >&2 || npm ci --ignore-scripts --legacy-peer-deps >&2 ;;
    yarn) by_yarn --frozen-lockfile ;;
    berry) by_berry --immutable ;;
    pnpm) by_pnpm --frozen-lockfile ;;
    bun) bun install --frozen-lockfile --ignore-scripts >&2 ;;
  esac
}
mended() {
  case $manager in
    npm) npm install --ignore-scripts --legacy-peer-deps >&2 ;;
    yarn) by_yarn ;;
    berry) YARN_ENABLE_IMMUTABLE_INSTALLS=0 by_berry --no-immutable ;;
    pnpm) by_pnpm --no-frozen-lockfile ;;
    bun) bun install --ignore-scripts >&2 ;;
  esac
}
# Peers that do not fit are passed over; that a registry has no version of that time is not put right by this.
by_date() {
  by_npm "--before=$date" 2>"$cache/said" && return
  cat "$cache/said" >&2
  ! grep -Eq 'ENOVERSIONS|ETARGET' "$cache/said" || return 1
  by_npm "--before=$date" --legacy-peer-deps
}
dated() {
  case $manager in
    pnpm) by_pnpm --no-frozen-lockfile "--config.minimum-release-age=$age" ;;
    berry)
      if portable "$@"; then by_date
      else YARN_NPM_MINIMAL_AGE_GATE=$age YARN_ENABLE_IMMUTABLE_INSTALLS=0 by_berry --no-immutable; fi ;;
    *) by_date ;;
  esac
}
newest() {
  case $manager in
    npm | siblings) by_npm || by_npm --legacy-peer-deps || { [ "$manager" = siblings ] && by_yarn; } ;;
    *) mended ;;
  esac
}
without_lock() { rm -f package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock bun.lockb; }
again() { rm -rf node_modules; for one in "$@"; do rm -rf "$top/$one/node_modules"; done; }
loosened=
loosen() {
  loosened=1
  said=$( (cd "$top" && node $tools/loosen.js remote "${root:-.}" "$@" && node $tools/loosen.js without "${root:-.}" "$@" -- ${SPARE:-}) ) || return 1
  [ -n "$said" ] || return 1
  note "$said"
}

if [ "$manager" = siblings ]; then
  relative=; for one in "$@"; do relative="$relative ${one#"${root:+$root/}"}"; done
  node $tools/loosen.js siblings $relative || true
fi
done_by=
if [ "$lock" != - ]; then
  if exact; then done_by="by $lock"
  elif again "$@"; mended; then done_by="by $lock, where it fits"
  elif again "$@"; loosen "$@" && mended; then done_by="by $lock, where it fits"
  fi
fi
if [ -z "$done_by" ]; then
  [ "$lock" = - ] || { again "$@"; without_lock; }
  if dated "$@"; then done_by="as of $date"
  elif [ -z "$loosened" ] && again "$@" && loosen "$@" && dated "$@"; then done_by="as of $date"
  elif again "$@"; newest; then done_by="newest versions"
  fi
fi
# Patches that packages bring are nobody's business, and look like the fix's.
find . -path '*/node_modules/*' -type f \( -name '*.patch' -o -name '*.diff' -o -name '*.orig' -o -name '*.rej' \) -exec rm -f {} +
restore "$@"
if [ -z "$done_by" ]; then note "$manager: the dependencies in $where could not be installed"; exit 1; fi
note "$manager, $done_by: $where"

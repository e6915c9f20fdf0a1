"""What tests expect around them: a user, a display, a bus, a database, a locale, a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from podgym.envs.build.plan import TOOLS, WORKDIR, BuildPlan
from podgym.envs.build.repair.causes import Cause
from podgym.envs.build.repair.edits import each_program, with_exports, with_interpreter, with_last_step, with_packages, with_prefix, wrapped
from podgym.envs.build.repair.remedies.remedy import Case, Remedy, Table
from podgym.verifiers import TestCommand

__all__ = ["SURROUNDINGS", "unprivileged"]

_PLACE: Final = "/tmp/podgym-unprivileged"
_NOBODY: Final = "65534"
_BEFORE: Final = f"""\
podgym_as=
# Where a sandbox knows root alone they run as root after all.
if [ "$(id -u)" = 0 ] && setpriv --reuid={_NOBODY} --regid={_NOBODY} --clear-groups true 2>/dev/null; then
  podgym_as="setpriv --reuid={_NOBODY} --regid={_NOBODY} --clear-groups"
fi
rm -rf {_PLACE}; mkdir -p {_PLACE}/home && chmod 777 {_PLACE} {_PLACE}/home
export HOME={_PLACE}/home USER=nobody LOGNAME=nobody GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
chmod -R a+rwX . 2>/dev/null || true
"""
_RUNNER: Final = """\
chmod -R a+rwX "$(dirname -- "${2:-.}")" 2>/dev/null || true
[ -z "$podgym_as" ] || $podgym_as "$real" -c "" 2>/dev/null || podgym_as=
"""
"""The runner's own directory is root's; where the interpreter is root's, too, it stays so."""
_POSTGRESQL: Final = """\
podgym_pg=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)
if [ -n "$podgym_pg" ] && ! "$podgym_pg/pg_isready" -q -h 127.0.0.1; then
  mkdir -p /tmp/podgym-pg /var/run/postgresql && chown postgres /tmp/podgym-pg /var/run/postgresql
  su postgres -s /bin/sh -c "
    $podgym_pg/initdb -A trust -D /tmp/podgym-pg/data
    $podgym_pg/pg_ctl -w -D /tmp/podgym-pg/data -o '-c fsync=off' -l /tmp/podgym-pg/log start
    createdb test; createuser -s root
  " >/dev/null 2>&1 || true
fi
export PGHOST="${PGHOST:-127.0.0.1}" PGUSER="${PGUSER:-postgres}"
"""
_MYSQL: Final = """\
if command -v mariadbd >/dev/null && ! mariadb-admin ping --silent >/dev/null 2>&1; then
  mkdir -p /run/mysqld /tmp/podgym-mysql && chown mysql /run/mysqld /tmp/podgym-mysql
  mariadb-install-db --user=mysql --datadir=/tmp/podgym-mysql --auth-root-authentication-method=normal >/dev/null 2>&1 || true
  mariadbd --user=mysql --datadir=/tmp/podgym-mysql --bind-address=127.0.0.1 >/tmp/podgym-mysql.log 2>&1 &
  for _ in 1 2 3 4 5 6 7 8 9 10; do mariadb-admin ping --silent >/dev/null 2>&1 && break; sleep 1; done
  mariadb -e 'create database if not exists test' 2>/dev/null || true
fi
"""
_REDIS: Final = "redis-cli ping >/dev/null 2>&1 || redis-server --daemonize yes --save '' --dir /tmp >/dev/null || true\n"
_RABBITMQ: Final = "{ rabbitmq-server -detached && rabbitmqctl await_startup --timeout 60; } >/dev/null 2>&1 || true\n"
_DATABASES: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "postgresql": (("postgresql", "postgresql-client"), _POSTGRESQL),
    "redis": (("redis-server",), _REDIS),
    "mysql": (("mariadb-server",), _MYSQL),
    "memcached": (("memcached",), "memcached -u nobody -l 127.0.0.1 -d || true\n"),
    "rabbitmq": (("rabbitmq-server",), _RABBITMQ),
}
"""Packages, and what starts the server in the sandbox where none answers."""


def unprivileged(plan: BuildPlan) -> BuildPlan:
    """Test programs and interpreters run as `nobody` where the sandbox can have one; they may write the tree and a report beside it."""

    def change(command: TestCommand) -> str:
        # The report's own directory is root's: it is written elsewhere and brought there.
        inner = command.script.replace("{report}", f"{_PLACE}/report")
        bring = f"[ ! -e {_PLACE}/report ] || cp -R {_PLACE}/report {{report}}\n" if "{report}" in command.script else ""
        return wrapped(inner, before=_BEFORE, run='$podgym_as sh "$podgym_script"', after=bring)

    plan = with_interpreter(each_program(plan, change), "python-unprivileged", before=_BEFORE + _RUNNER, run='exec $podgym_as "$real" "$@"')
    # What a build writes anew it may also give a mode, which only the owner can.
    owned = f"chown -R {_NOBODY}:{_NOBODY} {TOOLS}/build 2>/dev/null || true\n"
    return with_last_step(plan, f"chmod -R a+rwX {WORKDIR} {TOOLS} 2>/dev/null || true\n{owned}")


def _programs(plan: BuildPlan) -> bool:
    return any(command.framework == "program" for command in plan.tests)


def _before_tests(plan: BuildPlan, name: str, lines: str) -> BuildPlan:
    """Shell lines before every test program and every interpreter of podgym's own runners."""
    return with_interpreter(with_prefix(plan, lines, steps=False), f"python-{name}", before=lines)


def _root(case: Case, cause: Cause) -> Iterator[Remedy]:
    if case.failure.stage == "tests" and cause.subject != "configure":
        yield Remedy("script:unprivileged", "The tests refuse root and run as nobody.", unprivileged(case.plan))


def _display(case: Case, cause: Cause) -> Iterator[Remedy]:
    exports = {"QT_QPA_PLATFORM": "offscreen", "SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy", "MPLBACKEND": "Agg"}
    if cause.subject == "qt" or not _programs(case.plan):
        yield Remedy("env:offscreen", "Toolkits draw without a display.", with_exports(case.plan, exports, steps=False))
    command = 'xvfb-run -a -s "-screen 0 1280x1024x24"'
    yield Remedy("script:xvfb", "The tests get a display.", with_packages(_under(case.plan, "python-xvfb", command), ("xvfb", "xauth")))


def _under(plan: BuildPlan, name: str, command: str, before: str = "") -> BuildPlan:
    """Test programs and interpreters run by `command`."""
    plan = each_program(plan, lambda one: wrapped(one.script, before=before, run=f'{command} sh "$podgym_script"'))
    return with_interpreter(plan, name, before=before, run=f'exec {command} "$real" "$@"')


def _dbus(case: Case, cause: Cause) -> Iterator[Remedy]:
    plan = _under(case.plan, "python-dbus", "dbus-run-session --")
    yield Remedy("script:dbus", "The tests get a message bus.", with_packages(plan, ("dbus", "dbus-x11")))


def _database(case: Case, cause: Cause) -> Iterator[Remedy]:
    known = _DATABASES.get(cause.subject)
    if known is not None:
        packages, start = known
        plan = _before_tests(case.plan, cause.subject, start)
        yield Remedy(f"script:{cause.subject}", f"The tests get a {cause.subject} of their own.", with_packages(plan, packages))


def _locale(case: Case, cause: Cause) -> Iterator[Remedy]:
    yield Remedy("packages:locales-all", "Locales are installed.", with_packages(case.plan, ("locales-all",)))
    exports = {"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "LANGUAGE": "C"}
    yield Remedy("env:C.UTF-8", "The locale that is always there.", with_exports(case.plan, exports))


def _timezone(case: Case, cause: Cause) -> Iterator[Remedy]:
    plan = with_exports(with_packages(case.plan, ("tzdata",)), {"TZ": "UTC"})
    yield Remedy("packages:tzdata", "Time zones are installed.", plan)
    if case.tool == "python":
        python = next((command.python for command in case.plan.tests if command.python), "python")
        yield Remedy(
            "pip:tzdata", "Time zones are installed for Python.", with_last_step(plan, f"{python} -m pip install -q tzdata || true\n")
        )


def _ipv6(case: Case, cause: Cause) -> Iterator[Remedy]:
    if case.tool == "node":
        exports = {"NODE_OPTIONS": "--dns-result-order=ipv4first"}
        yield Remedy("env:ipv4first", "localhost is IPv4.", with_exports(case.plan, exports, steps=False))
    # A container's file is mounted, so it can be written and not replaced.
    lines = "{ sed '/^::1/d' /etc/hosts > /tmp/podgym-hosts && cat /tmp/podgym-hosts > /etc/hosts; } 2>/dev/null || true\n"
    yield Remedy("script:hosts-ipv4", "localhost has one address.", _before_tests(case.plan, "hosts", lines))


def _shm(case: Case, cause: Cause) -> Iterator[Remedy]:
    exports = {"JOBLIB_MULTIPROCESSING": "0", "JOBLIB_TEMP_FOLDER": "/tmp", "LOKY_MAX_CPU_COUNT": "1"}
    yield Remedy("env:no-shm", "Shared memory is done without.", with_exports(case.plan, exports, steps=False))
    lines = "[ -d /dev/shm ] || mkdir -m 1777 /dev/shm 2>/dev/null; mount -o remount,size=1g /dev/shm 2>/dev/null || true\n"
    yield Remedy("script:shm", "There is a directory for shared memory.", _before_tests(case.plan, "shm", lines))


def _colour(case: Case, cause: Cause) -> Iterator[Remedy]:
    exports = {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}
    yield Remedy("env:colour", "The tests expect colours.", with_exports(case.plan, exports, steps=False))


SURROUNDINGS: Final[Table] = {
    "refuses_root": _root,
    "display": _display,
    "dbus": _dbus,
    "database": _database,
    "locale": _locale,
    "timezone": _timezone,
    "ipv6": _ipv6,
    "shm": _shm,
    "colour": _colour,
}

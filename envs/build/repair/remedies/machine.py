"""Limits, downloads and trust: more of what there was too little of, once, and once more what may have been chance."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from podgym.envs.build.plan import WORKDIR, BuildPlan
from podgym.envs.build.repair.causes import Cause
from podgym.envs.build.repair.edits import with_exports, with_first_step, with_limits, with_packages, with_prefix
from podgym.envs.build.repair.remedies.remedy import Case, Remedy, Table
from podgym.sandbox import Step
from podgym.verifiers import TestCommand

__all__ = ["MACHINE", "once_more"]

_MAX_MEMORY: Final = 32 << 30
_MAX_DISK: Final = 64 << 30
_MAX_TIME_S: Final = 7200.0
_FEWER_JOBS: Final = {
    "CMAKE_BUILD_PARALLEL_LEVEL": "1", "MAKEFLAGS": "-j1", "CARGO_BUILD_JOBS": "1", "GOMAXPROCS": "2", "MAX_JOBS": "1",
    "NPY_NUM_BUILD_JOBS": "1", "JOBS": "1", "NINJA_JOBS": "1",
}  # fmt: skip
_HTTPS: Final = (
    "export GIT_TERMINAL_PROMPT=0\n"
    "for host in github.com gitlab.com bitbucket.org; do\n"
    'for from in "git://$host/" "git@$host:" "ssh://git@$host/" "git+ssh://git@$host/"; do\n'
    '  git config --global --get-all "url.https://$host/.insteadOf" 2>/dev/null | grep -qxF "$from" ||\n'
    '    git config --global --add "url.https://$host/.insteadOf" "$from" || true\ndone; done\n'
)
_SUBMODULES: Final = """\
[ -f .gitmodules ] || exit 0
git config -f .gitmodules --get-regexp '^submodule\\..*\\.path$' | while read -r key path; do
  url=$(git config -f .gitmodules "${key%.path}.url") || continue
  [ -z "$(ls -A "$path" 2>/dev/null)" ] || continue
  sha=$(git ls-tree HEAD "$path" 2>/dev/null | awk '$2 == "commit" {print $3}')
  work=$(mktemp -d)
  if git clone -q "$url" "$work/copy" && { [ -z "$sha" ] || git -C "$work/copy" checkout -q "$sha"; }; then
    git -C "$work/copy" submodule update -q --init --recursive || true
    find "$work/copy" -name .git -prune -exec rm -rf {} +
    mkdir -p "$path" && cp -R "$work/copy/." "$path/"
  fi
  rm -rf "$work"
done
"""
_VENDORED: Final = {
    "googletest": ("googletest", "/usr/src/googletest"), "gtest": ("googletest", "/usr/src/googletest"), "catch2": ("catch2", ""),
    "benchmark": ("libbenchmark-dev", ""), "fmt": ("libfmt-dev", ""), "json": ("nlohmann-json3-dev", ""), "zlib": ("zlib1g-dev", ""),
}  # fmt: skip


def once_more(case: Case) -> Remedy:
    """The same plan."""
    return Remedy(
        "again",
        "What failed may not fail again.",
        case.plan.model_copy(update={"notes": (*case.plan.notes, "It was built a second time.")}),
    )


def _flaky(case: Case, cause: Cause) -> Iterator[Remedy]:
    if case.failure.stage == "image":
        yield once_more(case)


def _network(case: Case, cause: Cause) -> Iterator[Remedy]:
    if case.failure.stage == "image":
        yield once_more(case)
        if "github.com" in case.failure.log or "gitlab.com" in case.failure.log:
            yield _https(case)


def _https(case: Case) -> Remedy:
    plan = with_prefix(with_packages(case.plan, ("git", "ca-certificates")), _HTTPS, tests=False)
    return Remedy("git:https", "git fetches by https what is named by other protocols.", plan)


def _protocol(case: Case, cause: Cause) -> Iterator[Remedy]:
    yield _https(case)


def _certificate(case: Case, cause: Cause) -> Iterator[Remedy]:
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    exports = dict.fromkeys(
        ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "CARGO_HTTP_CAINFO"), bundle
    )
    plan = with_packages(case.plan, ("ca-certificates",))
    yield Remedy("packages:ca-certificates", "The authorities' certificates are installed anew.", plan)
    if not case.plan.ca_bundle:
        yield Remedy("env:ca-certificates", "Every tool trusts the distribution's authorities.", with_exports(plan, exports, tests=False))


def _memory(case: Case, cause: Cause) -> Iterator[Remedy]:
    limit = case.plan.limits.memory_bytes
    fewer = with_exports(case.plan, _FEWER_JOBS, tests=case.failure.stage == "tests")
    if case.failure.stage == "tests" and limit < _MAX_MEMORY:
        yield Remedy("limits:memory", "The memory limit is doubled.", with_limits(case.plan, memory_bytes=min(2 * limit, _MAX_MEMORY)))
    yield Remedy("env:one-job", "Compilers run one at a time.", fewer)
    if case.failure.stage == "image" and limit < _MAX_MEMORY:
        yield Remedy("limits:memory", "The memory limit is doubled.", with_limits(fewer, memory_bytes=min(2 * limit, _MAX_MEMORY)))


def _disk(case: Case, cause: Cause) -> Iterator[Remedy]:
    limit = case.plan.limits.disk_bytes
    if limit < _MAX_DISK:
        yield Remedy("limits:disk", "The disk limit is raised.", with_limits(case.plan, disk_bytes=min(4 * limit, _MAX_DISK)))


def _longer(command: TestCommand) -> TestCommand:
    return command.model_copy(update={"timeout_s": min(2 * command.timeout_s, _MAX_TIME_S)})


def _slow(step: Step) -> Step:
    return step.model_copy(update={"timeout_s": min(2 * step.timeout_s, _MAX_TIME_S)})


def _narrow(plan: BuildPlan) -> BuildPlan:
    return plan.model_copy(update={"tests": plan.changed})


def _timeout(case: Case, cause: Cause) -> Iterator[Remedy]:
    plan = case.plan
    if case.failure.stage == "tests":
        if plan.changed and plan.changed != plan.tests:
            yield Remedy("tests:changed", "The changed test files alone run.", _narrow(plan))
        longer = plan.model_copy(update={"tests": tuple(map(_longer, plan.tests)), "changed": tuple(map(_longer, plan.changed))})
    else:
        longer = plan.model_copy(update={"dependencies": tuple(map(_slow, plan.dependencies)), "install": tuple(map(_slow, plan.install))})
    if longer != plan:
        yield Remedy("limits:time", "The time limit is doubled.", longer)


def _files(case: Case, cause: Cause) -> Iterator[Remedy]:
    lines = 'ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)" 2>/dev/null || true\n'
    yield Remedy("script:ulimit", "More files may be open at once.", with_prefix(case.plan, lines))


def _submodules(case: Case, cause: Cause) -> Iterator[Remedy]:
    last = cause.subject.rstrip("/").rpartition("/")[2].lower()
    package, source = _VENDORED.get(last, ("", ""))
    if source and cause.subject:
        path = cause.subject.removeprefix(f"{WORKDIR}/")
        copy = f'p={shlex.quote(path)}\n[ -n "$(ls -A "$p" 2>/dev/null)" ] || {{ mkdir -p "$p" && cp -R {source}/. "$p"/; }}\n'
        plan = with_first_step(with_packages(case.plan, (package,)), copy, files=True)
        yield Remedy(f"vendored:{last}", f"{path} is the distribution's copy.", plan)
    plan = with_first_step(with_packages(case.plan, ("git",)), _SUBMODULES, files=True, timeout_s=1800.0)
    yield Remedy("submodules", "Submodules that are empty are fetched from where they say they are.", plan)
    if package:
        yield Remedy(f"packages:{package}", f"{last} is not there.", with_packages(case.plan, (package,)))


MACHINE: Final[Table] = {
    "flaky_download": _flaky,
    "network": _network,
    "git_protocol": _protocol,
    "certificate": _certificate,
    "out_of_memory": _memory,
    "heap_limit": _memory,
    "disk_full": _disk,
    "timeout": _timeout,
    "open_files": _files,
    "submodule_missing": _submodules,
}

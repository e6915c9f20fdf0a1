"""A Rust project's plan: the packages that the fix touches, compiled and tested in their workspace.

Dependencies are resolved by the repository's lock file; without one, as of the commit's date where cargo can cut there. They are
compiled from the manifests alone, with empty sources, so that tasks of one repository share the result; then the repository's own
packages are. Documentation tests are not run: they are part of the sources that a solution rewrites.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Final

from podgym.envs.build.catalogue import version_key
from podgym.envs.build.languages.contract import PlanRequest
from podgym.envs.build.languages.debian import lacking
from podgym.envs.build.languages.rust.configuration import CONFIGURATION, configuration, foreign_target, host_target
from podgym.envs.build.languages.rust.manifest import MANIFEST, Cargo, dependency_tables
from podgym.envs.build.languages.rust.packages import debian_packages, linker_packages
from podgym.envs.build.languages.rust.script import (
    ENVIRONMENT,
    PATH,
    Unit,
    compile_script,
    extra_script,
    prelude,
    run_script,
    setup_script,
    stub_script,
)
from podgym.envs.build.languages.rust.toolchain import choose_toolchain, stable_on
from podgym.envs.build.languages.rust.units import changed_selection, find_units
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.tree import Tree
from podgym.sandbox import Limits, Step
from podgym.verifiers import ReportSource, TestCommand

__all__ = ["plan_rust"]

_LIMITS: Final = Limits(cpus=2, memory_bytes=4 << 30, processes=1024, disk_bytes=10 << 30)
_UNSTABLE_FLAG: Final = re.compile(r"--cfg[= ]\s*['\"]?(\w*unstable\w*)\b")
_TESTING: Final = re.compile(r"\bcargo\s+(?:\+\S+\s+)?(?:test|t|nextest)\b")
_OF_A_LINE: Final = re.compile(r"\b(?:CARGO_BUILD_)?RUSTFLAGS=(?:[\"']([^\"']{0,400})[\"']|(\S{0,400}))")
_CUTS: Final = (1, 14, 30, 60, 90, 120, 180, 270, 365, 540, 730)
"""Days after the commit as of which dependencies are resolved; a later one only where an earlier one is not possible."""
_MAX_STUBS: Final = 400
_MAX_EXTRA: Final = 60


def plan_rust(request: PlanRequest) -> BuildPlan:
    """Raises `BuildError` (stage plan)."""
    found = find_units(request)
    base, roots = found.base, [unit.root for unit in found.units]
    packages = found.packages
    toolchain = choose_toolchain(
        (request.fixed, request.base),
        packages,
        roots[0],
        committed=request.committed,
        asked=request.toolchain,
        catalogue=request.catalogue,
    )
    day = request.committed.astimezone(UTC)
    older = version_key(toolchain.image.version) < version_key(stable_on(day.date()))
    units = tuple(replace(unit, outdated=toolchain.outdated or older) for unit in found.units)
    cuts = [(day + timedelta(days=days)).strftime("%Y-%m-%d") for days in _CUTS]
    start = prelude(request.exports, cuts=cuts, older=older)
    notes = [*base.notes, *found.notes]
    if toolchain.outdated:
        notes.append(f"the project asks for a newer Rust than {toolchain.image.version}")
    config = configuration(request.base, roots)
    flags = _flags(request, config, newer=toolchain.newer)
    env = {**ENVIRONMENT, **({"RUSTC_BOOTSTRAP": "1"} if toolchain.unstable else {})}
    if "rustc-wrapper" in config:
        env["RUSTC_WRAPPER"] = ""
    if (stated := foreign_target(request.base, roots)) and (here := host_target()):
        notes.append(f"compiled for {here}: the tests of {stated} cannot be run here")
        env["CARGO_BUILD_TARGET"] = here
    start += "".join(f"export {name}={value}\n" for name, value in env.items() if name not in ENVIRONMENT)

    def step(text: str) -> Step:
        return Step(run=start + text, timeout_s=request.step_timeout_s)

    setup = step(setup_script(toolchain.image.version, flags))
    stubs = _stubs(base, roots, request.base)
    dependencies = [setup]
    manifests: tuple[str, ...] = ()
    if stubs and not _vendored(request.base, config):
        manifests = _manifests(request.base)
        names = sorted({package.name for package in base.packages.values()})
        dependencies.append(step(stub_script(units, stubs, names)))
    else:
        notes.append("dependencies are compiled with the project: its manifests alone do not do")
    install = [step(compile_script(unit)) for unit in units]
    if extra := _extra(request.base, request.fixed, roots):
        install.append(step(extra_script(extra)))
    test_env = {**env, "CARGO_NET_OFFLINE": "true", "CARGO_BUILD_JOBS": "2", "INSTA_UPDATE": "no", "PATH": PATH, "HOME": "/root"}
    locks = "\n".join(request.base.read(_lock(root)) or "" for root in roots)
    named = {name for package in packages for table in dependency_tables(package.manifest) for name in table}
    if any('source = "git+' in lock for lock in (locks,)):
        notes.append("some dependencies are git repositories, which must be in reach while the image is built")

    def command(unit: Unit, selection: Sequence[str] = ()) -> TestCommand:
        return TestCommand(
            framework="program",
            script=run_script(unit, selection),
            report=ReportSource(format="libtest"),
            env=test_env,
            cwd=unit.root or ".",
            timeout_s=request.suite_timeout_s,
        )

    changed = [(unit, selection) for unit in units if (selection := changed_selection(request, base, unit))]
    return BuildPlan(
        language="rust",
        build_system="cargo",
        toolchain=toolchain.image.version,
        why_toolchain=toolchain.why,
        framework="libtest",
        name=packages[0].name,
        root=roots[0],
        base=toolchain.image.name,
        mirror=request.catalogue.mirror,
        packages=tuple(dict.fromkeys((*lacking(request.ci.packages), *debian_packages(locks, named), *linker_packages(config)))),
        manifests=manifests,
        dependencies=tuple(dependencies),
        install=tuple(install),
        env=test_env,
        tests=tuple(command(unit) for unit in units),
        changed=tuple(command(unit, selection) for unit, selection in changed),
        limits=_LIMITS,
        notes=tuple(dict.fromkeys(notes)),
    )


def _lock(root: str) -> str:
    return f"{root}/Cargo.lock" if root else "Cargo.lock"


def _flags(request: PlanRequest, config: str, *, newer: bool) -> list[str]:
    """For rustc. New compilers warn of more, which is an error where a project denies warnings."""
    flags = ["--cap-lints=warn"] if newer else []
    testing = [step for step in request.ci.steps if _TESTING.search(step.line)]
    places = [request.ci.env, *(step.env for step in testing)]
    said = " ".join(value for env in places for name, value in env.items() if name in ("RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS"))
    said += " ".join(found[1] or found[2] for step in testing for found in _OF_A_LINE.finditer(step.line))
    for name in dict.fromkeys(_UNSTABLE_FLAG.findall(said)):
        if name not in config:
            flags.append(f"--cfg={name}")
    return flags


def _vendored(tree: Tree, config: str) -> bool:
    return "vendored-sources" in config


def _manifests(tree: Tree) -> tuple[str, ...]:
    names = (MANIFEST, "Cargo.lock", "rust-toolchain", "rust-toolchain.toml")
    return tuple(path for path in tree.paths if path.rpartition("/")[2] in names or path.endswith(CONFIGURATION))


def _stubs(cargo: Cargo, roots: Sequence[str], tree: Tree) -> list[str]:
    """Files without which cargo refuses the manifests; none where there are too many."""
    found: dict[str, None] = {}
    for package in cargo.packages.values():
        if cargo.root_of(package.directory) in roots:
            found |= dict.fromkeys(target.path for target in package.targets if target.kind in ("lib", "bin") or target.declared)
            if package.build_script:
                found[package.build_script] = None
    found = {path: None for path in found if path in tree}
    return list(found) if len(found) <= _MAX_STUBS else []


def _extra(base: Tree, fixed: Tree, roots: Sequence[str]) -> dict[str, str]:
    """Crates that the fix's manifests and lock file name and the base's do not, as lines of a manifest."""
    lines: dict[str, str] = {}
    for root in roots:
        before, after = _locked(base.read(_lock(root))), _locked(fixed.read(_lock(root)))
        for name, version in sorted(after - before):
            lines[f"more{len(lines)}"] = f"{{ package = {json.dumps(name)}, version = {json.dumps(f'={version}')} }}"
        if after:
            continue
        known = {json.dumps([name, _requirement(value)]) for _, table in _dependencies(base) for name, value in table.items()}
        for _, table in _dependencies(fixed):
            for name, value in table.items():
                requirement = _requirement(value)
                if requirement and json.dumps([name, requirement]) not in known:
                    package = value.get("package", name) if isinstance(value, dict) else name
                    features = value.get("features", []) if isinstance(value, dict) else []
                    good = [one for one in features if isinstance(one, str)] if isinstance(features, list) else []
                    entry = f"{{ package = {json.dumps(package)}, version = {json.dumps(requirement)}, features = {json.dumps(good)} }}"
                    if entry not in lines.values() and isinstance(package, str):
                        lines[f"more{len(lines)}"] = entry
    return dict(list(lines.items())[:_MAX_EXTRA])


def _dependencies(tree: Tree) -> list[tuple[str, dict[str, object]]]:
    cargo = Cargo(tree)
    return [
        (where, table)
        for where in (path.rpartition("/")[0] for path in tree.named(MANIFEST))
        for table in dependency_tables(cargo.manifest(where))
    ]


def _requirement(value: object) -> str:
    version = value.get("version") if isinstance(value, dict) else value
    return version if isinstance(version, str) and re.fullmatch(r"[\w.+*^~<>=, -]{1,100}", version) else ""


def _locked(text: str | None) -> set[tuple[str, str]]:
    """Registry packages of a lock file."""
    pattern = r'\[\[package\]\]\nname = "([\w-]{1,200})"\nversion = "([\w.+-]{1,100})"\nsource = "registry\+'
    return set(re.findall(pattern, text or ""))

"""What of a repository is compiled and tested: the packages that a fix touches, grouped by workspace."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.contract import PlanRequest
from podgym.envs.build.languages.rust.arguments import features_of, test_arguments
from podgym.envs.build.languages.rust.manifest import MANIFEST, Cargo, Package
from podgym.envs.build.languages.rust.modules import modules_of
from podgym.envs.build.languages.rust.script import Unit
from podgym.envs.build.tree import Tree

__all__ = ["Found", "changed_selection", "find_units"]

_LIBTEST_LIKE: Final = re.compile(
    r"\blibtest_mimic\b|\blibtest2\w*\b|\bdatatest_stable\b|\blibtest_lexarg\b|\btest_main!|\bdir_test\b|\brstest_reuse\b"
    r"|\btoml_test_harness\b|\btryfn\b|\bsnapbox::harness\b"
)
_MAX_FILES: Final = 400


@dataclass(frozen=True, slots=True)
class Found:
    """See `find_units`."""

    base: Cargo
    packages: tuple[Package, ...]
    """Touched ones, those of the first unit first; where the fix makes one, as it makes it."""
    units: tuple[Unit, ...]
    notes: tuple[str, ...] = ()


def find_units(request: PlanRequest) -> Found:
    """One unit for each workspace that changed tests are in. Raises `BuildError` where no file belongs to a package."""
    base, fixed = Cargo(request.base), Cargo(request.fixed)
    if not base.packages and not fixed.packages:
        raise BuildError(
            f"No {MANIFEST} of the repository names a package.",
            stage="plan",
            reason="no_build_file",
            remedy="Choose a commit at which the project is built by cargo.",
        )
    notes: list[str] = []
    tests = _touched(base, fixed, request.changed_tests)
    sources = _touched(base, fixed, (path for path in request.changed_source if path.endswith(".rs")))
    touched = {**tests, **sources}
    if not touched:
        touched = {directory: base.packages.get(directory) or fixed.packages[directory] for directory in _top(base) or _top(fixed)}
        notes.append("no changed file belongs to a package; all packages of the nearest workspace are tested")
    groups: dict[str, list[Package]] = {}
    for package in touched.values():
        groups.setdefault(base.root_of(package.directory), []).append(package)
    wanted = {base.root_of(package.directory) for package in tests.values()} or set(list(groups)[:1])
    stated = {root: test_arguments(request.ci, request.base, root) for root in wanted}
    trees, asked = (request.base, request.fixed), (request.changed_tests, request.changed_source)
    units: list[Unit] = []
    chosen: list[Package] = []
    batches = [(root, batch) for root, packages in groups.items() if root in wanted for batch in _batches(packages)]
    for number, (root, packages) in enumerate(batches):
        features, threads = stated[root]
        programs = [target for package in packages for target in package.kind("test") if re.fullmatch(r"[\w.+-]{1,200}", target.name)]
        custom = [one for one in programs if not one.harness and not _speaks_like_libtest(request.fixed, one.path)]
        if custom:
            listed = ", ".join(one.path for one in custom[:5])
            notes.append(f"left out {listed}: a test program that is not libtest's reports nothing")
        programs = [one for one in programs if one not in custom]
        others = (("lib", "--lib"), ("bin", "--bins"))
        units.append(
            Unit(
                root=root,
                packages=tuple((package.directory, package.name) for package in packages),
                candidates=tuple(one.words for one in features_of(features, packages, trees, *asked)),
                name=str(number),
                targets=tuple((one.name, one.path) for one in programs),
                others=tuple(word for kind, word in others if any(package.kind(kind) for package in packages)),
                custom=bool(custom),
                changed=tuple(one.name for one in programs if modules_of(request.fixed, one.path) & set(request.changed_tests)),
                locked=(f"{root}/Cargo.lock" if root else "Cargo.lock") in request.base,
                examples=any(_runs_examples(request.fixed, package) for package in packages),
                threads=threads,
            )
        )
        chosen += packages
    left = [root for root in groups if root not in wanted]
    notes += [f"left out the workspace {root or '.'!r}: no changed test is in it" for root in left]
    return Found(base, tuple(chosen), tuple(units), tuple(notes))


def changed_selection(request: PlanRequest, base: Cargo, unit: Unit) -> tuple[str, ...]:
    """Arguments that choose the test programs of the changed tests alone; none where they cannot be told."""
    fixed = Cargo(request.fixed)
    words: dict[str, None] = {}
    directories = {place for place, _ in unit.packages}
    for path in request.changed_tests:
        package = fixed.package_of(path) or base.package_of(path)
        if package is None or package.directory not in directories:
            continue
        target = next((one for one in package.kind("test") if one.path == path), None)
        target = target or next((one for one in package.kind("test") if path in modules_of(request.fixed, one.path)), None)
        # Modules that a macro names lie beside their root, where it has a directory of its own.
        target = target or next(
            (one for one in package.kind("test") if one.path.endswith("/main.rs") and path.startswith(one.path.removesuffix("main.rs"))),
            None,
        )
        if target is not None:
            words[f"--test={target.name}"] = None
        elif package.kind("lib"):
            words["--lib"] = None
        elif package.kind("bin"):
            words["--bins"] = None
    return tuple(words)


def _speaks_like_libtest(tree: Tree, root: str) -> bool:
    """Whether a program with a harness of its own reports as libtest does: one that is known to, or that collects `#[test]` functions."""
    if _LIBTEST_LIKE.search(tree.read(root) or ""):
        return True
    return any(re.search(r"^[ \t]*#\[test\]", tree.read(path) or "", re.MULTILINE) for path in sorted(modules_of(tree, root))[:_MAX_FILES])


def _batches(packages: Iterable[Package]) -> list[list[Package]]:
    """Packages that one run may test together: libtest's ids do not tell programs of one name and place in two packages apart."""
    batches: list[tuple[list[Package], set[tuple[str, str]]]] = []
    for package in packages:
        names = {(target.name, target.path.removeprefix(package.directory)) for target in package.targets if target.kind in ("test", "bin")}
        for batch, taken in batches:
            if not names & taken:
                batch.append(package)
                taken.update(names)
                break
        else:
            batches.append(([package], names))
    return [batch for batch, _ in batches]


def _touched(base: Cargo, fixed: Cargo, paths: Iterable[str]) -> dict[str, Package]:
    """By directory, as after the fix where it stands then."""
    found: dict[str, Package] = {}
    for path in paths:
        package = fixed.package_of(path) or base.package_of(path)
        if package is not None:
            found[package.directory] = package
    known = {directory: package for directory, package in found.items() if directory in base.packages}
    return known or found


def _top(cargo: Cargo) -> list[str]:
    """Directories of the packages of the workspace nearest to the repository's top."""
    for directory in sorted(cargo.packages, key=lambda one: (one.count("/") if one else -1, one)):
        return [package.directory for package in cargo.members(cargo.root_of(directory))] or [directory]
    return []


def _runs_examples(tree: Tree, package: Package) -> bool:
    """Whether tests run what the package's examples are compiled to."""
    if not package.kind("example"):
        return False
    prefix = f"{package.directory}/tests/" if package.directory else "tests/"
    tests = [path for path in tree.paths if path.startswith(prefix) and path.endswith((".rs", ".md", ".toml"))]
    return any(re.search(r"\bexamples?\b[/\"(]|cargo_example|cases\(", tree.read(path) or "") for path in tests[:_MAX_FILES])

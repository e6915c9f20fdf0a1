"""A look at a built image before it is trusted: what the build left in the work tree, and whether it holds the solution.

Files that the build makes in the work tree (metadata of an editable install, a generated version) are not the agent's
doing, so grading has to know them. They must not hold lines that only the fix adds, and the project itself must be
installed from the work tree, never as a copy from an index, which could be a release that has the fix.

The layers of the local provider lie in a directory, so they are audited in full on every build. An image of Docker's has to be saved
first, which takes longer than most builds, so that is done where it is asked for.
"""

from __future__ import annotations

import asyncio
import shlex
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from podgym.envs.build.errors import BuildError
from podgym.envs.build.plan import INSTALL_LOG, BuildPlan
from podgym.envs.build.prepare import Prepared
from podgym.envs.repository.gold import added_lines
from podgym.sandbox import SandboxProvider, SandboxSpec
from podgym.sandbox.auto import AutoProvider
from podgym.sandbox.local import LocalProvider
from podgym.verifiers import BaseTree, take_change
from podgym.verifiers.basetree import blob_id

if TYPE_CHECKING:
    from podgym.envs.audit import Subject

__all__ = ["Inspection", "inspect_image"]

_TIMEOUT_S = 120.0
_LOG_LINES = 500


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found."""

    left_over: dict[str, str]
    """Path to `mode blob`, as `GradingPlan.left_over`."""
    installed: tuple[str, ...]
    """One line an installation."""
    image_bytes: int
    """Of the virtual environment and the work tree; the base image is shared."""
    notes: tuple[str, ...] = ()


async def inspect_image(
    provider: SandboxProvider, spec: SandboxSpec, *, archive: Path, prepared: Prepared, audit: bool = False
) -> Inspection:
    """Inspect one fresh sandbox of `prepared`'s image, and audit its layers; `audit`: those of Docker too.

    Raises `BuildError` (certify, leak), and `SandboxError`.
    """
    base, plan = BaseTree.from_tar(archive), prepared.plan
    if isinstance(provider, AutoProvider):
        provider = await provider.provider_for(spec)
    sandbox = await provider.create(spec)
    try:
        change = await take_change(sandbox, base, workdir=spec.workdir)
        result = await sandbox.run(_facts(plan), timeout_s=_TIMEOUT_S, cwd=spec.workdir)
    finally:
        await sandbox.close()
    if change.refused:
        raise BuildError(
            f"What the build left in the work tree cannot be told: {change.refused}",
            stage="certify",
            reason="leak",
            remedy="Edit the plan so that the build writes less into the work tree.",
        )
    installed, size, distributions = [*result.stdout.text().split("--\n"), "", ""][:3]
    own = canonicalize_name(plan.name) if plan.name and plan.language == "python" else ""
    for line in distributions.splitlines():
        name = line.removesuffix(".dist-info").rsplit("-", 1)[0]
        if own and canonicalize_name(name) == own:
            raise BuildError(
                f"The image holds an installed copy of the project itself ({line}), which may have the fix.",
                stage="certify",
                reason="leak",
                remedy=f"Edit the plan so that {shlex.quote(plan.name)} is installed from the work tree only.",
            )
    gold = added_lines(prepared.gold_patch)
    fresh = {path: file for path, file in change.files.items() if path not in base.files}
    for path, file in fresh.items():
        leaked = gold.intersection(line.strip() for line in file.data.split(b"\n"))
        if leaked:
            raise BuildError(
                f"The build left {path!r} in the work tree, which has a line that only the fix adds: {sorted(leaked)[0][:80]!r}.",
                stage="certify",
                reason="leak",
                remedy="Edit the plan so that nothing of the fixed state is left.",
            )
    told = await asyncio.to_thread(_audit, provider, spec, prepared, saved=audit)
    touched = [path for path in change.files if path in base.files] + list(change.deleted)
    return Inspection(
        left_over={path: f"{file.mode:o} {blob_id(file.data)}" for path, file in fresh.items()},
        installed=tuple(installed.splitlines()[:_LOG_LINES]),
        image_bytes=int(size.strip() or 0) * 1024,
        notes=(*told, *([f"the build changes {len(touched)} tracked file(s), such as {touched[0]}"] if touched else [])),
    )


def _facts(plan: BuildPlan) -> str:
    """The log of installations, what the steps' directories and the work tree take, and the distributions that Python would import."""
    places = shlex.join((*plan.writable, "."))
    distributions = [f"{shlex.quote(place)}/lib/python3*/site-packages/*.dist-info" for place in plan.writable]
    return (
        f"cat {INSTALL_LOG} 2>/dev/null; echo '--'\n"
        f"du -sk {places} 2>/dev/null | awk '{{ sum += $1 }} END {{ print sum }}'; echo '--'\n"
        f"for folder in {' '.join(distributions) or '/nonexistent'}; do\n"
        '    test -d "$folder" || continue\n'
        '    test -f "$folder/direct_url.json" && grep -q editable "$folder/direct_url.json" || echo "${folder##*/}"\n'
        "done\n"
    )


def _audit(provider: SandboxProvider, spec: SandboxSpec, prepared: Prepared, *, saved: bool) -> tuple[str, ...]:
    """Hold the built image against the rules; what the instruction gives away is a note, anything else an error."""
    # The audit reads tasks too, and so imports this package.
    from podgym.envs.audit import LayerCache, LayerError, Tally, audit_image, local_image, open_image

    tally = Tally()
    try:
        with ExitStack() as stack:
            image = local_image(spec, provider.config, remembered=True) if isinstance(provider, LocalProvider) else None
            if image is None and saved:
                image = stack.enter_context(open_image(spec.image))
            if image is None:
                return ()
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="podgym-audit-"))
            audit_image(image, _subject(prepared, spec), tally, Path(scratch), cache=LayerCache())
    except LayerError as error:
        raise BuildError(
            f"The image cannot be audited: {error.message}", stage="certify", reason="image", remedy=error.remedy or "Build it again."
        ) from error
    leaks = [finding for finding in tally.findings if not finding.rule.startswith("prompt-")]
    if leaks:
        raise BuildError(
            f"The image breaks {len({finding.rule for finding in leaks})} rule(s) of the audit; the first: {leaks[0]}",
            stage="certify",
            reason="leak",
            remedy="Edit the plan so that nothing of the fixed state is left.",
            details="\n".join(map(str, leaks)),
        )
    return tuple(f"{finding.place}: {finding.message}" for finding in tally.findings)


def _subject(prepared: Prepared, spec: SandboxSpec) -> Subject:
    from podgym.envs.audit import HiddenContent, Subject, cuts

    certificate = prepared.certificate
    return Subject(
        base=prepared.fix.base,
        fix=prepared.fix.sha,
        gold_patch=prepared.gold_patch,
        test_patch=prepared.tests_patch,
        hidden=tuple(HiddenContent(write.path, write.data) for write in prepared.hidden),
        instruction=prepared.instruction,
        workdir=spec.workdir,
        repository=prepared.location,
        shallow=cuts(certificate) if certificate is not None else {},
        built=prepared.plan.writable,
        ours=True,
    )

"""Proves a task directory anew, believing nothing that is written in it: the repository, what else goes into the image, the hidden
files, the digest, the verdicts that are known beforehand.

The archive that goes into the image and the files beside it are audited as the layers that they become. Where nothing is found, the
repository is unpacked and certified, and the certificate that comes out must be the one that the task names.
"""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from podgym.envs.audit.image import Image, ImageConfig, ImageLayer
from podgym.envs.audit.imageaudit import ImageFacts, audit_image
from podgym.envs.audit.known import check_known, gold_digest
from podgym.envs.audit.layers import DirectoryLayer, LayerError, TarLayer
from podgym.envs.audit.rules import GIT_RULES, Tally
from podgym.envs.audit.subject import HiddenContent, Subject
from podgym.envs.code import task_digest
from podgym.envs.contract import Task
from podgym.envs.harbor import TaskFiles, read_task
from podgym.envs.repository import Certificate, CertificateError, RepositoryError, certify
from podgym.errors import PodgymError
from podgym.verifiers import GradingPlan, HiddenFile

__all__ = ["BuiltTask", "audit_task_directory", "cuts", "read_built_task"]

_CERTIFICATE = "tests/certificate.json"
_GOLD = "solution/gold.patch"
_TESTS_PATCH = "solution/tests.patch"
_ARCHIVE = "environment/repo.tar"
_ANEW = "Build the task anew with `podgym env build`."
_UNPACKED_BYTES = 32 << 30
_SAID = ("archive", "repository", "gold", "gold-line")
"""Findings that say already why nothing can be proven."""


@dataclass(frozen=True, slots=True)
class BuiltTask:
    """A task that podgym built, as far as it can be read."""

    task: Task
    directory: Path
    plan: GradingPlan | None
    subject: Subject


def read_built_task(directory: Path, tally: Tally) -> BuiltTask:
    """Read what an audit needs; what is missing is a finding. Raises `TaskError` for a directory that is no task of podgym's."""
    task = read_task(directory)
    files = TaskFiles(directory)
    plan = _plan(task, tally)
    hidden = _hidden(plan.hidden, files, tally) if plan is not None else []
    if plan is not None and plan.decoys is not None:
        _hidden(plan.decoys.files, files, tally)
    tally.look("gold")
    try:
        gold = files(_GOLD)
    except OSError:
        tally.add("gold", _GOLD, "There is no gold patch, so its lines cannot be searched for.", _ANEW)
        gold = b""
    subject = Subject(
        task=task.id,
        digest=task.digest,
        base=task.provenance.get("base", ""),
        fix=task.provenance.get("commit", ""),
        gold_patch=gold,
        test_patch=_optional(files, _TESTS_PATCH),
        hidden=tuple(hidden),
        test_names=plan.fail_to_pass if plan is not None else (),
        instruction=task.instruction,
        workdir=task.sandbox.workdir,
        repository=task.provenance.get("source", ""),
        shallow=_shallow(files),
        built=task.sandbox.recipe.writable if task.sandbox.recipe is not None else (),
        ours=True,
    )
    return BuiltTask(task, directory, plan, subject)


def _hidden(listed: Sequence[HiddenFile], files: TaskFiles, tally: Tally) -> list[HiddenContent]:
    """The content of test files, as far as it is there; what is not as it was validated is a finding."""
    found = []
    for file in listed:
        tally.look("hidden-file")
        try:
            data = files(file.source)
        except OSError as error:
            tally.add("hidden-file", file.source, f"A test file is missing: {error}.", _ANEW)
            continue
        if not file.sha256:
            tally.add("hidden-file", file.source, "The grading data does not say what is in this test file.", _ANEW)
        elif hashlib.sha256(data).hexdigest() != file.sha256:
            tally.add("hidden-file", file.source, "A test file was changed after the task was validated.", _ANEW)
        found.append(HiddenContent(file.path, data))
    return found


def audit_task_directory(built: BuiltTask, tally: Tally, scratch: Path) -> ImageFacts | None:
    """Everything of the directory that is not the built image; None where its archive cannot be read. `scratch` is an empty directory."""
    task, directory, plan = built.task, built.directory, built.plan
    archive = directory / (plan.base if plan is not None else _ARCHIVE)
    facts = None
    tally.look("archive")
    try:
        with archive.open("rb") as file:
            layer = TarLayer(file, digest=archive.name, prefix=built.subject.workdir, whiteouts=False)
            for _ in layer.entries():
                pass
            facts = audit_image(_as_image(built, layer), built.subject, tally, scratch)
    except (LayerError, OSError) as error:
        tally.add("archive", _ARCHIVE, f"The repository cannot be unpacked: {_first(error)}.", _ANEW)
    _certificate(built, archive, tally)
    tally.look("digest")
    if plan is not None:
        try:
            if task_digest(plan, task.sandbox) != task.digest:
                tally.add("digest", "task.toml", "The image, the sandbox or the grading data was changed after validation.", _ANEW)
        except PodgymError as error:
            tally.add("digest", "environment", error.message, _ANEW)
    return facts


def _as_image(built: BuiltTask, archive: TarLayer) -> Image:
    """What the task's image is made of, as layers, and what its recipe writes into the configuration."""
    sandbox = built.task.sandbox
    recipe = sandbox.recipe
    context = DirectoryLayer(
        [(built.directory / "environment", "environment")], digest="environment", without=frozenset({"environment/repo.tar"})
    )
    layers = (ImageLayer(1, archive, label=_ARCHIVE), ImageLayer(2, context, label="context"))
    steps = (*recipe.before, *recipe.after) if recipe is not None else ()
    env = {**(recipe.env if recipe is not None else {}), **sandbox.env}
    config = ImageConfig(
        env=tuple(f"{name}={value}" for name, value in env.items()),
        labels=dict(sandbox.labels),
        workdir=sandbox.workdir,
        history=tuple(step.run for step in steps),
    )
    return Image(id="", source=str(built.directory), layers=layers, config=config)


def _plan(task: Task, tally: Tally) -> GradingPlan | None:
    tally.look("grading")
    try:
        return GradingPlan.model_validate(task.grading)
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        tally.add("grading", f"tests/grading.json {key}", f"The grading data cannot be used: {first['msg']}.", _ANEW)
        return None


def _certificate(built: BuiltTask, archive: Path, tally: Tally) -> None:
    """The certificate in the task is that of the repository in the archive."""
    tally.look("certificate")
    try:
        claimed = Certificate.model_validate_json(TaskFiles(built.directory)(_CERTIFICATE))
    except (OSError, ValidationError) as error:
        tally.add("certificate", _CERTIFICATE, f"There is no readable certificate: {_first(error)}.", _ANEW)
        return
    if any(finding.rule in GIT_RULES or finding.rule in _SAID for finding in tally.findings):
        return
    try:
        proven, solution = _prove(built, archive, claimed, tally)
    except CertificateError as error:
        tally.extend(error.findings)
        return
    except RepositoryError as error:
        tally.add("repository", _ARCHIVE, error.message, _ANEW)
        return
    except (OSError, tarfile.TarError, LayerError) as error:
        tally.add("archive", _ARCHIVE, f"The repository cannot be unpacked: {_first(error)}.", _ANEW)
        return
    tally.look("provenance")
    if proven != claimed:
        tally.add("certificate", _CERTIFICATE, "The repository is not the one that was certified.", _ANEW)
    elif proven.digest != built.task.provenance.get("certificate"):
        message = "metadata.podgym.provenance.certificate is not the digest of what was proven."
        tally.add("provenance", "task.toml", message, _ANEW)
    if solution:
        check_known(built.task, TaskFiles(built.directory), solution, tally)


def _shallow(files: TaskFiles) -> dict[str, tuple[str, ...]]:
    """Where histories were cut off, as the certificate says, which is itself compared with what is proven."""
    try:
        return cuts(Certificate.model_validate_json(files(_CERTIFICATE)))
    except (OSError, ValidationError):
        return {}


def cuts(certificate: Certificate) -> dict[str, tuple[str, ...]]:
    """`Subject.shallow` of a certified repository."""
    found = {"": certificate.shallow}
    pending = [("", module) for module in certificate.submodules]
    while pending:
        prefix, module = pending.pop()
        found[prefix + module.path] = module.shallow
        pending += [(f"{prefix}{module.path}/", inner) for inner in module.submodules]
    return found


def _prove(built: BuiltTask, archive: Path, claimed: Certificate, tally: Tally) -> tuple[Certificate, str]:
    """The certificate of what is in the archive, and the digest of the change that the solution is, empty where it is none."""
    with tempfile.TemporaryDirectory(prefix="podgym-check-") as scratch:
        with tarfile.open(archive) as tar:
            total = 0
            for member in tar:
                total += member.size
                if total > _UNPACKED_BYTES or member.issparse():
                    raise LayerError(f"{archive.name} unpacks to more than {_UNPACKED_BYTES} bytes.", remedy=_ANEW)
            tar.extractall(scratch, filter="data")
        subject = built.subject
        proven = certify(Path(scratch), subject.base, gold_patch=subject.gold_patch, submodules=claimed.submodules, shallow=claimed.shallow)
        return proven, gold_digest(Path(scratch), subject.base, subject.gold_patch, tally)


def _optional(files: Callable[[str], bytes], name: str) -> bytes:
    try:
        return files(name)
    except OSError:
        return b""


def _first(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")

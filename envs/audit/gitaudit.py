"""Finds and judges the git directories of an image: the project's, its submodules', and all others.

They are put together layer after layer and judged after each layer that touches them, so that what a later layer deletes is found too.
Of a state that is not the last one only what it gives away counts: a repository may come in pieces.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from podgym.envs.audit.gitfacts import TreeFile, base_files, closure, cut_at, head_commit, is_related, outside_commits
from podgym.envs.audit.gitjudge import judge
from podgym.envs.audit.image import Image, ImageLayer
from podgym.envs.audit.layers import LayerError
from podgym.envs.audit.project import ProjectNames, project_names
from podgym.envs.audit.released import Releases, releases
from podgym.envs.audit.repositories import GitDirectories, GitDirectory, Roots
from podgym.envs.audit.rules import GIT_RULES, GONE, Tally
from podgym.envs.audit.scanning import WorkTree
from podgym.envs.audit.subject import Subject
from podgym.envs.repository import Finding, RepositoryError
from podgym.envs.repository.git import Git
from podgym.envs.repository.idset import IdSet
from podgym.envs.repository.objects import ObjectReader

__all__ = ["GitAudit", "Project"]

_PLACES = ("testbed", "app", "repo", "workspace", "src", "code", "build")
_UNFINISHED = frozenset({"closure", "head", "refs", "index", "git-directory"})


@dataclass(slots=True)
class Project:
    """What the project's own git directory tells."""

    base: str = ""
    tree: WorkTree = field(default_factory=WorkTree)
    names: ProjectNames = field(default_factory=ProjectNames)
    releases: Releases = field(default_factory=Releases)
    closure: IdSet | None = None
    future: set[str] = field(default_factory=set)
    """Commits that are somewhere in the image's repository of the project and that base does not reach."""
    directory: GitDirectory | None = None

    def known(self, pieces: frozenset[bytes]) -> frozenset[bytes]:
        """Those that base's files have anyway, as lines or within lines."""
        if self.directory is None or not pieces:
            return frozenset()
        found: set[bytes] = set()
        reader = ObjectReader(Git(self.directory.folder, work_tree=self.directory.work_tree))
        try:
            for blob in {one.id for one in self.tree.files.values() if one.mode.startswith("100")}:
                try:
                    data = reader.get(blob)
                except RepositoryError:
                    continue
                found.update(piece for piece in pieces - found if data is not None and piece in data.data)
                if len(found) == len(pieces):
                    break
        finally:
            reader.close()
        return frozenset(found)


class GitAudit:
    """One image's git directories. `scratch` is an empty directory."""

    def __init__(self, image: Image, subject: Subject, tally: Tally, scratch: Path, *, whole: bool) -> None:
        self._whole = whole
        self._image, self._subject, self._tally, self._scratch = image, subject, tally, scratch
        self.project = Project(base=subject.base)
        self.notes: list[str] = []
        self._final = GitDirectories(scratch, ())
        self._touching: dict[str, list[int]] = {}

    @property
    def others(self) -> int:
        """Git directories besides the project's."""
        return len(self._final.all) - (self.project.directory is not None)

    def holds(self, path: str) -> bool:
        """Whether a path of the image belongs to a git directory."""
        return self._final.root_of(path) is not None

    def run(self, layers: list[ImageLayer], roots: Roots) -> Project:
        """Judge; of remembered layers, which have no git files, what they delete is enough."""
        self._final = GitDirectories(self._folder("final"), roots.found())
        if self._final.all:
            for one in layers:
                for touched in self._lay(self._final, one):
                    self._touching.setdefault(touched.path, []).append(one.number)
        self.project.directory = self._find()
        if self.project.directory is not None:
            self._learn(self.project.directory)
        if self._final.all:
            self._judge(layers)
        return self.project

    def _folder(self, name: str) -> Path:
        folder = self._scratch / name
        folder.mkdir()
        return folder

    def _lay(self, state: GitDirectories, one: ImageLayer) -> list[GitDirectory]:
        try:
            return state.apply(one.layer)
        except LayerError as error:
            self._tally.add("unsearched", one.name, error.message, error.remedy)
            return []

    def _find(self) -> GitDirectory | None:
        """The project's git directory: where the task says, else the first likely place whose repository has base."""
        said = self._subject.workdir.strip("/")
        own = {path: one for path, one in self._final.all.items() if path.rpartition("/")[2] == ".git"}
        if said:
            found = own.get(f"{said}/.git")
        else:
            name = self._subject.short_name
            likely = [self._image.config.workdir.strip("/"), *_PLACES, f"home/{name}", name, f"workspace/{name}"]
            ordered = [own[f"{place}/.git"] for place in likely if f"{place}/.git" in own]
            ordered += [one for one in sorted(own.values(), key=lambda one: one.path.count("/")) if one not in ordered]
            found = next((one for one in ordered if not self._subject.base or base_files(one, self._subject.base)), None)
        if found is None and not self._whole:
            return None
        if found is None and (self._subject.base or said):
            place = f"/{said or self._image.config.workdir.strip('/')}".rstrip("/") + "/.git"
            self._tally.add("git-directory", place, "There is no git directory of the project here.", "Say where it is with --workdir.")
        elif found is None:
            self.notes.append("There is no repository of the project in the image.")
        return found

    def _learn(self, directory: GitDirectory) -> None:
        """Base, its files, its closure, and what the project calls itself."""
        project = self.project
        if not project.base:
            project.base = head_commit(directory)
            self.notes.append(f"Nobody said what base is; it is taken to be {project.base or 'unknown'}, where HEAD is.")
        files = base_files(directory, project.base)
        project.tree = WorkTree(directory.path.removesuffix(".git").rstrip("/"), files)
        git = Git(directory.folder, work_tree=directory.work_tree)
        project.names = _names(git, files)
        project.releases = releases(git, project.base) if project.base else Releases()
        project.closure = closure(directory, project.base, self._shallow(directory, ""))

    def _judge(self, layers: list[ImageLayer]) -> None:
        last = {path: self._findings(one) for path, one in self._final.all.items()}
        for path in last:
            own = self.project.directory is not None and path == self.project.directory.path
            for rule in GIT_RULES if own else ("other-repository",):
                self._tally.look(rule)
        if self.project.directory is not None and any(finding.rule == "objects" for finding in last[self.project.directory.path]):
            self.project.future.update(self._outside(self.project.directory))
        names = {one.number: one for one in layers}
        several = {path for path, numbers in self._touching.items() if len(numbers) > 1}
        if several:
            self._replay(layers, several, last)
        for path, numbers in self._touching.items():
            if path not in several:
                self._report(names[numbers[-1]], path, last[path])

    def _replay(self, layers: list[ImageLayer], several: set[str], last: dict[str, list[Finding]]) -> None:
        """Lay the layers anew, and judge each state of the directories that several layers touch."""
        state = GitDirectories(self._folder("replay"), several)
        final = {path: {(finding.rule, finding.place, finding.message) for finding in found} for path, found in last.items()}
        for layer in layers:
            for one in self._lay(state, layer):
                if layer.number == self._touching[one.path][-1]:
                    self._report(layer, one.path, last[one.path])
                    continue
                found = self._findings(one)
                stays = [(finding.rule, finding.place, finding.message) in final[one.path] for finding in found]
                self._report(layer, one.path, [finding for finding, stay in zip(found, stays, strict=True) if stay])
                gone = [finding for finding, stay in zip(found, stays, strict=True) if not stay and finding.rule not in _UNFINISHED]
                self._report(layer, one.path, [finding.model_copy(update={"message": f"{finding.message} {GONE}"}) for finding in gone])
                if self.project.directory is not None and one.path == self.project.directory.path:
                    self.project.future.update(self._outside(one))

    def _report(self, layer: ImageLayer, path: str, found: list[Finding]) -> None:
        """What a lower layer showed already is not repeated."""
        for finding in found:
            tail = f"/{path.removesuffix('.git')}{finding.place}" if finding.place.startswith(".git") else f"/{path}"
            if not any(one.rule == finding.rule and one.place.partition(": ")[2] == tail for one in self._tally.findings):
                self._tally.add(finding.rule, f"{layer.name}: {tail}", finding.message, finding.remedy)

    def _judged(self, one: GitDirectory, base: str, path: str, *, pinned: Mapping[str, str] | None = None) -> list[Finding]:
        ours, secret = self._subject.ours, self._subject.fix.encode()
        return judge(one, base, ours=ours, shallow=self._shallow(one, path), pinned=pinned or {}, secret=secret)

    def _outside(self, one: GitDirectory) -> list[str]:
        return outside_commits(one, self.project.base, self._shallow(one, ""))

    def _shallow(self, one: GitDirectory, path: str) -> tuple[str, ...]:
        """Where history may end: as a certificate says for what podgym built, as the repository itself says for others."""
        return self._subject.shallow.get(path, ()) if self._subject.ours else cut_at(one)

    def _findings(self, one: GitDirectory) -> list[Finding]:
        try:
            return self._rules_broken(one)
        except RepositoryError as error:
            return [Finding(rule="repository", place=one.path, message=error.message, remedy=error.remedy)]

    def _rules_broken(self, one: GitDirectory) -> list[Finding]:
        if not one.files and not one.gitfile and not one.odd:
            return []
        project = self.project
        if project.directory is not None and one.path == project.directory.path:
            return self._judged(
                one, project.base, "", pinned={path: file.id for path, file in project.tree.files.items() if file.mode == "160000"}
            )
        inner = project.tree.inner(one.path.removesuffix(".git").rstrip("/"))
        if inner is not None:
            pinned = project.tree.files.get(inner)
            if pinned is not None and pinned.mode == "160000":
                absorbed = project.directory is not None and not self._subject.ours and _leads_into(one, project.directory)
                return [] if absorbed else self._judged(one, pinned.id, inner)
            return [_other("nested-repository", one, "It is in the work tree and is not one of base's submodules.")]
        ids = {project.base, self._subject.fix, *project.future} - {""}
        why = is_related(one, project.closure, ids, frozenset(self._subject.needles.gold))
        return [_other("other-repository", one, why)] if why else []


def _leads_into(one: GitDirectory, project: GitDirectory) -> bool:
    """Whether a gitfile leads to a submodule below the project's own git directory, which is judged with it."""
    target = one.gitfile.removeprefix("gitdir:").strip()
    place = os.path.normpath(f"{one.path.removesuffix('.git')}{target}")
    return one.gitfile.startswith("gitdir:") and place.startswith(f"{project.path}/modules/")


def _other(rule: str, one: GitDirectory, why: str) -> Finding:
    return Finding(rule=rule, place=one.path, message=why, remedy="Delete it in the layer that brings it.")


def _names(git: Git, files: dict[str, TreeFile]) -> ProjectNames:
    """What the base commit's manifests call the project."""
    reader = ObjectReader(git)

    def read(path: str) -> bytes | None:
        try:
            found = reader.get(files[path].id)
        except RepositoryError:
            return None
        return found.data if found is not None and found.kind == "blob" else None

    try:
        return project_names((path for path, one in files.items() if one.mode.startswith("100")), read)
    finally:
        reader.close()

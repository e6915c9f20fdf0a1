"""Holds an image against every rule, layer by layer.

First the git directories: they give the base commit's files, the project's names, and the set of ids that are history. Then every
file of every layer is read once, or remembered, for lines of the solution and of the tests, packages, packs and patches. What was
found is judged at the end, because only then it is known which lines are in so many files that they say nothing. A finding names the
layer: a file that a later layer deletes is in the image all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from podgym.envs.audit.cache import LayerCache, Remembered
from podgym.envs.audit.certificate import AuditedImage
from podgym.envs.audit.debian import Debian
from podgym.envs.audit.gitaudit import GitAudit, Project
from podgym.envs.audit.image import Image, ImageLayer
from podgym.envs.audit.layers import Entry, LayerError, ListedLayer
from podgym.envs.audit.leaks import LayerHit, common_pieces, judge_hits
from podgym.envs.audit.packages import Package, is_newer
from podgym.envs.audit.pieces import Budget
from podgym.envs.audit.prompt import judge_prompt
from podgym.envs.audit.repositories import Roots
from podgym.envs.audit.rules import GONE, Tally
from podgym.envs.audit.scanning import LayerFacts, Scan, scan_layer
from podgym.envs.audit.settings import judge_config
from podgym.envs.audit.stale import judge_built
from podgym.envs.audit.subject import Subject
from podgym.envs.repository import Finding

__all__ = ["ImageFacts", "audit_image"]

_HIDDEN_BYTES = 64 << 20
_HIDDEN_REMEDY = "Bring the tests into the grading sandbox after the agent has ended, and never into its image."
_DELETE = "Delete it in the layer that brings it."
_OF_FILES = frozenset(
    {"gold-line", "hidden-test", "fix-id", "pack", "residue", "installed-copy", "package-cache", "stale-build", "unsearched"}
)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an audit learned of an image, beside its findings."""

    base: str
    workdir: str
    objects: int
    objects_digest: str
    names: int
    audited: AuditedImage
    notes: tuple[str, ...]


def audit_image(
    image: Image, subject: Subject, tally: Tally, scratch: Path, *, cache: LayerCache | None = None, whole: bool = True
) -> ImageFacts:
    """Put findings into `tally`; `scratch` is an empty directory for git directories.

    The instruction is judged too, because only the image's repository tells what is history. `whole` says that the project must be
    in these layers; otherwise they are parts of an image, such as the files that it is built from.
    """
    return _ImageAudit(image, subject, tally, scratch, cache, whole=whole).run()


class _ImageAudit:
    def __init__(self, image: Image, subject: Subject, tally: Tally, scratch: Path, cache: LayerCache | None, *, whole: bool) -> None:
        self._image, self._subject, self._tally, self._cache = image, subject, tally, cache
        self._needles = subject.needles
        self._git = GitAudit(image, subject, tally, scratch, whole=whole)
        self._remembered: dict[int, Remembered] = {}
        self._facts: dict[int, LayerFacts] = {}
        self._budget = Budget(lambda place, why: None)
        self._debian = Debian(image.layers)

    def run(self) -> ImageFacts:
        roots = Roots()
        layers = [one for one in self._image.layers if self._is_whole(one, roots)]
        project = self._git.run([self._brief(one) for one in layers], roots)
        judge_config(self._image.config, self._subject, self._tally, future=frozenset(project.future))
        self._search(layers, project)
        return ImageFacts(
            base=project.base,
            workdir=f"/{project.tree.path}" if project.directory is not None else "",
            objects=len(project.closure) if project.closure is not None else 0,
            objects_digest=project.closure.digest if project.closure is not None else "",
            names=project.names.count,
            audited=self._audited(),
            notes=tuple(self._git.notes),
        )

    def _is_whole(self, one: ImageLayer, roots: Roots) -> bool:
        """Whether a layer is remembered or can be read to its end; its git directories go into `roots`."""
        self._tally.look("image")
        known = self._cache.get(one.layer.digest) if self._cache is not None and self._cache.keeps(one.layer.digest) else None
        if known is not None:
            self._remembered[one.number] = known
            return True
        try:
            for entry in one.layer.entries():
                roots.see(entry)
        except LayerError as error:
            self._tally.add("image", one.name, error.message, error.remedy)
            return False
        return True

    def _brief(self, one: ImageLayer) -> ImageLayer:
        """What of a remembered layer concerns others: what it deletes of them."""
        known = self._remembered.get(one.number)
        return one if known is None else replace(one, layer=ListedLayer(known.deletions(), digest=one.layer.digest))

    def _search(self, layers: list[ImageLayer], project: Project) -> None:
        """Read what has to be read, then judge all of it."""
        scans: dict[int, Scan] = {}
        silent: set[bytes] = set()
        for one in layers:
            known = self._remembered.get(one.number)
            if known is not None and not known.touches(project.tree.path or "\0") and not known.may_have(self._needles.all):
                self._facts[one.number] = known.facts
                silent |= known.common(self._needles.all)
                continue
            self._remembered.pop(one.number, None)
            scan = self._scan(one, project)
            scans[one.number], self._facts[one.number] = scan, scan.facts
        hits = [LayerHit(one.name, hit) for one in layers if one.number in scans for hit in scans[one.number].hits]
        lines = frozenset(line.strip().lstrip(b"+> ").strip() for line in self._subject.instruction.encode("utf-8", "replace").split(b"\n"))
        found = frozenset().union(*(one.hit.pieces for one in hits), lines & self._needles.all)
        common = frozenset(silent | common_pieces(hits, project.tree))
        base_has = project.known(found - {self._needles.fix})
        judge_hits(hits, self._needles, project.tree, self._tally, known=base_has, common=common)
        closure = project.closure
        in_history = (lambda object_id: object_id in closure) if closure is not None else None
        judge_prompt("instruction", self._subject, self._tally, in_history=in_history, known=base_has)
        for one in layers:
            self._judge_facts(one, project)
            if one.number in scans:
                self._judge_tree(one, scans[one.number], project)
        self._tell_gone(layers)

    def _tell_gone(self, layers: list[ImageLayer]) -> None:
        """Say of files that were found whether a later layer replaces or deletes them."""
        waiting: dict[str, list[tuple[int, Finding]]] = {}
        numbers = {one.name: one.number for one in layers}
        for finding in self._tally.findings:
            layer, _, path = finding.place.partition(": /")
            if finding.rule in _OF_FILES and layer in numbers:
                waiting.setdefault(path.partition("!/")[0], []).append((numbers[layer], finding))
        for one in layers:
            if not waiting or one.number <= min(number for found in waiting.values() for number, _ in found):
                continue
            for path in [path for entry in self._brief(one).layer.entries() for path in _covered(entry, waiting)]:
                for number, finding in waiting.pop(path, []):
                    if number < one.number:
                        self._tally.amend(finding, GONE)
                    else:
                        waiting.setdefault(path, []).append((number, finding))

    def _scan(self, one: ImageLayer, project: Project) -> Scan:
        remember = self._cache is not None and self._cache.keeps(one.layer.digest)
        scan = scan_layer(one.layer, self._needles, project.tree, self._git.holds, self._budget, remember=remember)
        # What lower layers used up is missing here, so this is not what the layer holds by itself.
        spent = self._budget.bytes_left <= 0 or self._budget.members_left < 0
        if remember and not spent and self._cache is not None:
            self._cache.put(one.layer.digest, scan)
        return scan

    def _judge_facts(self, one: ImageLayer, project: Project) -> None:
        tally, facts = self._tally, self._facts[one.number]
        tally.look("unsearched", facts.archives)
        for rule in ("gold-line", "hidden-test", "fix-id", "pack", "residue"):
            tally.look(rule, facts.files)
        for place, why in facts.unsearched:
            tally.add("unsearched", f"{one.name}: /{place}", f"It was not searched: {why}.", "Remove it, or make it smaller.")
        for place, what in facts.packs:
            tally.add("pack", f"{one.name}: /{place}", f"It is {what} outside of a git directory.", _DELETE)
        for place in facts.residue:
            inner = project.tree.inner(place)
            if inner is None or inner not in project.tree.files:
                tally.add("residue", f"{one.name}: /{place}", "It is a patch, or what applying one leaves.", _DELETE)
        for package in facts.packages:
            self._judge_package(one, package, project)

    def _judge_package(self, one: ImageLayer, package: Package, project: Project) -> None:
        rule = "package-cache" if package.cached else "installed-copy"
        self._tally.look(rule)
        own = project.names.version(package.ecosystem, package.name)
        # Metadata of a development install lies in the work tree itself; dependencies that lie there are in folders of their own.
        at_home = project.tree.inner(package.place) is not None and not any(
            part in package.place for part in ("node_modules/", "site-packages/", "!/")
        )
        if own is None or package.local or at_home:
            return
        if package.ecosystem == "c" and self._is_built_here(package.place):
            return
        stated = package.version or (self._debian.version(package.place) if package.ecosystem == "c" else "")
        newer = is_newer(stated, own)
        # A wheel of the same version is either from an index, and then a release, or was built here, and then says so.
        if newer is False and not (package.ecosystem == "python" and package.version == own):
            return
        if project.releases.hold(package.name, stated):
            return
        version = f"version {stated}" if stated else "a version that nobody can tell"
        tree = f"the work tree has {own}" if own else "the work tree's own version is not written down"
        self._tally.add(
            rule,
            f"{one.name}: /{package.place}",
            f"It is a copy of the project itself ({package.name}, {package.ecosystem}) of {version}; {tree}.",
            "Install the project from its work tree only, and clean the caches in the same layer.",
        )

    def _is_built_here(self, place: str) -> bool:
        """Whether it lies where the build of ours puts what it makes of the work tree."""
        return any(f"/{place}".startswith(f"{directory.rstrip('/')}/") for directory in self._subject.built)

    def _judge_tree(self, one: ImageLayer, scan: Scan, project: Project) -> None:
        hidden = {file.path: file.data for file in self._subject.hidden}
        for inner, entry in scan.in_tree:
            if inner in hidden and entry.size == len(hidden[inner]) and _content(one, entry) == hidden[inner]:
                self._tally.add("hidden-test", f"{one.name}: /{entry.path}", "It is a hidden test as the fix has it.", _HIDDEN_REMEDY)
        judge_built(one, scan.in_tree, project.tree, project.names, self._tally)

    def _audited(self) -> AuditedImage:
        facts = list(self._facts.values())
        return AuditedImage(
            id=self._image.id,
            layers=tuple(one.layer.digest for one in self._image.layers),
            remembered=len(self._remembered),
            files=sum(one.files for one in facts),
            bytes=sum(one.bytes for one in facts),
            archives=sum(one.archives for one in facts),
            packages=sum(len(one.packages) for one in facts),
            repositories=self._git.others,
        )


def _covered(entry: Entry, paths: Collection[str]) -> Iterator[str]:
    """Which of the paths of lower layers an entry hides."""
    if entry.kind in ("file", "link", "other") and entry.path in paths:
        yield entry.path
    elif entry.kind in ("whiteout", "opaque"):
        prefix = f"{entry.path}/" if entry.path else ""
        yield from (path for path in list(paths) if path == entry.path or path.startswith(prefix))


def _content(one: ImageLayer, entry: Entry) -> bytes:
    with one.layer.open(entry) as file:
        return file.read(_HIDDEN_BYTES)

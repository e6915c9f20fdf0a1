"""One POM as its file states it: coordinates, parent, modules, properties, dependencies, plug-ins. Nothing is inherited here."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from functools import cached_property

from podgym.envs.build.languages.java.elements import Element, read_elements

__all__ = ["Coordinates", "Module", "Pom", "read_pom"]


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Of an artifact, properties not replaced."""

    group: str
    artifact: str
    version: str = ""
    kind: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Module:
    """A module of a reactor: the path of its POM, and the profile that it belongs to, if any."""

    pom: str
    profile: str = ""


@dataclass(frozen=True, eq=False)
class Pom:
    """See the module. Two are equal only where they are one."""

    path: str
    """Of the file, relative to the repository."""
    project: Element

    @property
    def directory(self) -> str:
        """Of the module; empty for the repository's."""
        return posixpath.dirname(self.path)

    @cached_property
    def own(self) -> Coordinates:
        """Group and version fall back to the parent's."""
        parent = self.parent
        group = self.project.value("groupId") or (parent.group if parent else "")
        version = self.project.value("version") or (parent.version if parent else "")
        return Coordinates(group, self.project.value("artifactId"), version, self.project.value("packaging") or "jar")

    @cached_property
    def parent(self) -> Coordinates | None:
        """As it is stated."""
        found = self.project.first("parent")
        return _coordinates(found) if found is not None else None

    @property
    def parent_path(self) -> str:
        """Where the parent's POM would be in the repository; empty where the file says that it is not there."""
        parent = self.project.first("parent")
        stated = parent.first("relativePath") if parent is not None else None
        if parent is None or (stated is not None and not stated.text):
            return ""
        return _pom_at(self.directory, stated.text if stated is not None else "../pom.xml")

    @cached_property
    def profiles(self) -> list[Element]:
        """All, whatever activates them."""
        return self.project.all("profiles", "profile")

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        """Those of the project first, then those of its profiles."""
        places = [("", self.project), *((profile.value("id"), profile) for profile in self.profiles)]
        found: dict[str, Module] = {}
        for name, place in places:
            active = place is self.project or _by_default(place)
            for stated in (*place.all("modules", "module"), *place.all("subprojects", "subproject")):
                path = _pom_at(self.directory, stated.text)
                if path:
                    found.setdefault(path, Module(path, "" if active else name))
        return tuple(found.values())

    @cached_property
    def properties(self) -> dict[str, str]:
        """Of the project, and of the profiles that are active by default."""
        found: dict[str, str] = {}
        for place in [self.project, *filter(_by_default, self.profiles)]:
            properties = place.first("properties")
            for entry in properties.children if properties is not None else ():
                found[entry.name] = entry.text
        return found

    @cached_property
    def dependencies(self) -> tuple[Coordinates, ...]:
        """Of the project and its profiles."""
        places = [self.project, *self.profiles]
        return tuple(_coordinates(entry) for place in places for entry in place.all("dependencies", "dependency"))

    @cached_property
    def imports(self) -> tuple[Coordinates, ...]:
        """Lists of versions that the dependency management imports."""
        managed = self.project.all("dependencyManagement", "dependencies", "dependency")
        return tuple(found for entry in managed if (found := _coordinates(entry)).scope == "import")

    @cached_property
    def plugins(self) -> tuple[Element, ...]:
        """Of the build, its plug-in management, and the profiles that are active by default."""
        return self._plugins([self.project, *filter(_by_default, self.profiles)])

    @staticmethod
    def _plugins(places: list[Element]) -> tuple[Element, ...]:
        paths = (("build", "plugins", "plugin"), ("build", "pluginManagement", "plugins", "plugin"))
        return tuple(entry for place in places for path in paths for entry in place.all(*path))

    def plugin(self, artifact: str) -> list[Element]:
        """Its entries, by artifact id."""
        return [entry for entry in self.plugins if entry.value("artifactId") == artifact]

    def configurations(self, artifact: str) -> list[Element]:
        """Configuration of a plug-in and of its executions."""
        entries = self.plugin(artifact)
        return [
            found
            for entry in entries
            for path in (("configuration",), ("executions", "execution", "configuration"))
            for found in entry.all(*path)
        ]

    @property
    def built_with(self) -> tuple[Coordinates, ...]:
        """Plug-ins, also of profiles, what they depend on, and extensions of the build."""
        plugins = self._plugins([self.project, *self.profiles])
        entries = [*plugins, *self.project.all("build", "extensions", "extension")]
        entries += [entry for plugin in plugins for entry in plugin.all("dependencies", "dependency")]
        return tuple(_coordinates(entry) for entry in entries)

    @property
    def plain_http(self) -> bool:
        """Whether it names a repository by `http://`, which Maven refuses since 3.8.1."""
        kinds = ("repositories", "repository"), ("pluginRepositories", "pluginRepository")
        places = [self.project, *self.profiles]
        return any(entry.value("url").startswith("http://") for place in places for kind in kinds for entry in place.all(*kind))


def _by_default(profile: Element) -> bool:
    return profile.value("activation", "activeByDefault").lower() == "true"


def _coordinates(element: Element) -> Coordinates:
    names = ("groupId", "artifactId", "version", "type", "scope")
    return Coordinates(*(element.value(name) for name in names))


def _pom_at(directory: str, stated: str) -> str:
    """The POM that a module or a parent path means, in the repository; empty outside of it."""
    path = posixpath.normpath(posixpath.join(directory, stated.replace("\\", "/").strip()))
    if path.startswith(("../", "/")) or path == "..":
        return ""
    if path.endswith(".xml"):
        return path
    return "pom.xml" if path == "." else f"{path}/pom.xml"


def read_pom(path: str, text: str) -> Pom | None:
    """None for what is no POM."""
    project = read_elements(text, "project")
    return Pom(path, project) if project is not None else None

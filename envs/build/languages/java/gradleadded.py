"""What the fix's Gradle files name beyond the base's: modules and plug-ins with their versions, as far as the text tells them.

They are fetched by a build that holds nothing but these names, because the fix's own files must not come near the image.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

from podgym.envs.build.languages.java.gradlebuild import GradleBuild
from podgym.envs.build.languages.java.settings import BIN
from podgym.envs.build.languages.java.tools import file_of
from podgym.envs.build.plan import TOOLS
from podgym.envs.build.tree import Tree

__all__ = ["added_to_gradle", "modules_of"]

_MODULE: Final = re.compile(r"[\"']([\w.-]{1,100}:[\w.-]{1,100}:[\w.+${}-]{1,100})(?:[:@][\w-]{1,60})?[\"']")
_PLUGIN: Final = re.compile(r"\bid[ (]{1,3}[\"']([\w.-]{1,100})[\"']\)?[ ]{1,4}version[ (]{1,3}[\"']([\w.+${}-]{1,100})[\"']")
_NAME: Final = re.compile(r"\$\{?([\w.]{1,80})\}?")
_PLAIN: Final = re.compile(r"[\w.-]+:[\w.-]+:[\w.+-]+")
_MAX_ADDED: Final = 40

_BUILD: Final = """\
repositories {{
    mavenCentral()
    gradlePluginPortal()
    google()
}}
[{modules}].each {{ name ->
    def one = configurations.detachedConfiguration(dependencies.create(name))
    one.attributes {{ attribute(Usage.USAGE_ATTRIBUTE, objects.named(Usage, Usage.JAVA_RUNTIME)) }}
    try {{
        one.resolvedConfiguration.lenientConfiguration.artifacts.each {{ it.file }}
    }} catch (Exception ignored) {{
    }}
}}
"""


def added_to_gradle(build: GradleBuild, base: Tree) -> str:
    """Shell that fetches them; empty where the fix names nothing new."""
    added = sorted(modules_of(build) - modules_of(GradleBuild(base, build.root)))[:_MAX_ADDED]
    if not added:
        return ""
    place = f"{TOOLS}/added"
    text = _BUILD.format(modules=", ".join(f"'{name}'" for name in added))
    return (
        f"mkdir -p {place}\n"
        + file_of(f"{place}/settings.gradle", "rootProject.name = 'added'\n")
        + file_of(f"{place}/build.gradle", text)
        + f"(cd {place} && {BIN}/gradle -q help) > /dev/null 2>&1 && echo 'Gradle: fetched what the fix adds' >> \"$log\" || true\n"
        + f"rm -rf {place}\n"
    )


def modules_of(build: GradleBuild) -> set[str]:
    """`group:name:version` of what the build's files name with a version; a plug-in by the name of its marker."""
    found: set[str] = set()
    for path, text in build.scripts.items():
        if path.endswith(".toml"):
            found |= _catalogued(build.tree.read(path) or "")
        found.update(_MODULE.findall(text))
        found.update(f"{name}:{name}.gradle.plugin:{version}" for name, version in _PLUGIN.findall(text))
    known = build.names
    filled = (_NAME.sub(lambda match: known.get(match[1].rpartition(".")[2], known.get(match[1], match[0])), one) for one in found)
    return {one for one in filled if _PLAIN.fullmatch(one)}


def _catalogued(text: str) -> set[str]:
    """Of a version catalogue."""
    try:
        catalogue = tomllib.loads(text)
    except (ValueError, RecursionError):
        return set()
    versions = _table(catalogue.get("versions"))
    found = set()
    for entry in _table(catalogue.get("libraries")).values():
        library = _table(entry)
        name = library.get("module") or f"{library.get('group')}:{library.get('name')}"
        found.add(f"{name}:{_version(library.get('version'), versions)}")
    for entry in _table(catalogue.get("plugins")).values():
        plugin = _table(entry)
        found.add(f"{plugin.get('id')}:{plugin.get('id')}.gradle.plugin:{_version(plugin.get('version'), versions)}")
    return found


def _version(stated: Any, versions: Mapping[str, Any]) -> str:
    """Empty where no single version is stated."""
    if isinstance(stated, dict) and isinstance(stated.get("ref"), str):
        stated = versions.get(stated["ref"])
    return stated if isinstance(stated, str) else ""


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

"""JDKs of any vendor, Maven and Gradle."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from podgym.sandbox.local.toolchains.places import Places, ask
from podgym.sandbox.local.toolchains.toolchain import Toolchain, installed_at

__all__ = ["describe_gradle", "describe_jdk", "describe_maven", "gradles", "jdks", "mavens"]

_PROPERTIES: Final = "META-INF/maven/org.apache.maven/maven-core/pom.properties"
_TEXT_BYTES: Final = 65_536
_PUBLIC: Final = ("/usr/local/bin", "/usr/bin")


def jdks(places: Places) -> Iterator[Path]:
    """Candidates: the one on PATH, the environment's, Debian's and Fedora's, SDKMAN's."""
    yield from (program.parent.parent for program in places.programs("javac"))
    yield from places.named("JAVA_HOME", "JDK_HOME")
    yield from places.below_top("usr/lib/jvm/*", "usr/java/*", "opt/java/*", "opt/jdk*")
    yield from places.below_home(".sdkman/candidates/java/*", ".jdks/*", ".jenv/versions/*")


def describe_jdk(root: Path) -> Toolchain | None:
    """A JRE is none."""
    if not (root / "bin/javac").is_file():
        return None
    text = _release(root) or ask(root / "bin/java", "-version")
    found = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+(?:\.\d+)*)(?:_(\d+))?', text)
    if found is None:
        return None
    # 1.8.0_392 is 8.0.392.
    version = f"{found[1].removesuffix('.0')}.0.{found[2]}" if found[2] else found[1]
    return installed_at(
        root,
        "java",
        version,
        programs=("java", "javac", "javadoc", "jar", "jshell", "jlink"),
        env={"JAVA_HOME": str(root)},
        public=("/opt/java/openjdk/bin",),
    )


def mavens(places: Places) -> Iterator[Path]:
    """Candidates."""
    yield from (program.parent.parent for program in places.programs("mvn"))
    yield from places.named("MAVEN_HOME", "M2_HOME")
    yield from places.below_top("usr/share/maven", "usr/share/maven*", "opt/maven*", "opt/apache-maven*", "usr/local/apache-maven*")
    yield from places.below_home(".sdkman/candidates/maven/*")


def describe_maven(root: Path) -> Toolchain | None:
    """Its version is in its own core."""
    if not (root / "bin/mvn").is_file():
        return None
    for jar in sorted((root / "lib").glob("maven-core-*.jar")):
        try:
            with zipfile.ZipFile(jar) as archive, archive.open(_PROPERTIES) as file:
                text = file.read(_TEXT_BYTES).decode("utf-8", "replace")
        except (OSError, KeyError, zipfile.BadZipFile, RuntimeError):
            text = f"version={jar.stem.removeprefix('maven-core-')}"
        if found := re.search(r"^version=(\d+(?:\.\d+)+)", text, re.MULTILINE):
            return installed_at(root, "maven", found[1], programs=("mvn", "mvnDebug"), env={"MAVEN_HOME": str(root)}, public=_PUBLIC)
    return None


def gradles(places: Places) -> Iterator[Path]:
    """Candidates."""
    yield from (program.parent.parent for program in places.programs("gradle"))
    yield from places.named("GRADLE_HOME")
    yield from places.below_top("usr/share/gradle", "opt/gradle", "opt/gradle*", "opt/gradle/*")
    yield from places.below_home(".sdkman/candidates/gradle/*")


def describe_gradle(root: Path) -> Toolchain | None:
    """Its version is in the names of its own libraries."""
    if not (root / "bin/gradle").is_file():
        return None
    for jar in sorted((root / "lib").glob("gradle-*.jar")):
        if found := re.fullmatch(r"gradle-(?:core|launcher|base-services|runtime-api-info)-(\d+(?:\.\d+)+)", jar.stem):
            return installed_at(root, "gradle", found[1], programs=("gradle",), env={"GRADLE_HOME": str(root)}, public=_PUBLIC)
    return None


def _release(root: Path) -> str:
    try:
        text = (root / "release").read_text(errors="replace")[:_TEXT_BYTES]
    except OSError:
        return ""
    return text if "JAVA_VERSION=" in text else ""

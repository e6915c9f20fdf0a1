"""The JDK, Maven and Gradle."""

from __future__ import annotations

from typing import Final

from podgym.envs.build.repair.patterns.pattern import Pattern, pattern

__all__ = ["JAVA"]

_CHECKS: Final = (
    "animal-sniffer|buildnumber|checkstyle|clirr|dependency-check|docker|enforcer|errorprone|findbugs|fmt|formatter|frontend"
    "|git-code-format|git-commit-id|gpg|impsort|japicmp|javadoc|jgitflow|license|pmd|rat|revapi|sonar|sortpom|spotbugs|spotless|xml"
)
"""Maven's plug-ins that do something beside compiling and testing, without what their names begin and end with."""

JAVA: Final[tuple[Pattern, ...]] = (
    # A newer JDK is wanted.
    pattern(
        "wrong_toolchain",
        r"(?:invalid source release|invalid target release|invalid release)(?: value)?: (?:1\.)?(\d+)",
        "java >={0}",
        weight=94,
    ),
    pattern("wrong_toolchain", r"release version (\d+) not supported", "java >={0}", weight=94),
    pattern("wrong_toolchain", r"invalid flag: --release|error: unknown option --release", "java >=9", weight=92),
    pattern(
        "wrong_toolchain", r"compiled by a more recent version of the Java Runtime \(class file version (\d+)", "class >={0}", weight=94
    ),
    pattern("wrong_toolchain", r"class file has wrong version (\d+)\.0, should be \d+", "class >={0}", weight=94),
    pattern("wrong_toolchain", r"Unsupported major\.minor version (\d+)", "class >={0}", weight=92),
    pattern("wrong_toolchain", r"compatible with Java (\d+) and the consumer needed", "java >={0}", weight=90),
    pattern("wrong_toolchain", r"Dependency requires at least JVM runtime version (\d+)", "java >={0}", weight=93),
    pattern(
        "wrong_toolchain",
        r"(?:requires|needs) (?:at least )?(?:Java|JDK|JVM)(?: version)? ?(\d+)(?: or (?:later|newer|higher|above)|\+)?",
        "java >={0}",
        weight=74,
    ),
    pattern("wrong_toolchain", r"(?:Gradle|Maven) requires JVM (\d+) or later to run", "java >={0}", weight=92),
    pattern("wrong_toolchain", r"Cannot find a Java installation on your machine.*languageVersion=(\d+)", "java =={0}", weight=95),
    pattern(
        "wrong_toolchain",
        r"No (?:matching|locally installed) toolchains? (?:found )?.*(?:languageVersion|version)[=: ]+(\d+)",
        "java =={0}",
        weight=95,
    ),
    pattern(
        "wrong_toolchain",
        r"No toolchain found (?:for|with) type jdk|Cannot find matching toolchain definitions.*jdk.*version='?(?:1\.)?(\d+)",
        "java =={0}",
        weight=90,
    ),
    pattern(
        "wrong_toolchain",
        r"Detected JDK (?:Version: |version )?[\d.]+.*?not in the allowed range ([\[(][^\])]*[\])])",
        "java {0}",
        weight=94,
    ),
    pattern(
        "wrong_toolchain",
        r"error: (?:text blocks|records?|switch expressions|patterns? in switch|sealed classes"
        r"|pattern matching in instanceof) (?:are|is) not supported in -source",
        "java >=17",
        weight=80,
    ),
    pattern("wrong_toolchain", r"error: (?:patterns in switch statements|deconstruction patterns|record patterns)", "java >=21", weight=80),
    pattern("wrong_toolchain", r"has been compiled by a more recent version", "java >=17", weight=60),
    # An older JDK is wanted.
    pattern("wrong_toolchain", r"Unsupported class file major version (\d+)", "class <{0}", weight=93),
    pattern("wrong_toolchain", r"Could not determine java version from '\d+", "java <9", weight=94),
    pattern(
        "wrong_toolchain",
        r"Unsupported Java\.|currently configured to use (?:incompatible )?Java (\d+)\S* and Gradle",
        "java <{0}",
        weight=90,
    ),
    pattern(
        "wrong_toolchain",
        r"(?:is not|isn't) compatible with the Java (\d+) JVM|maximum compatible (?:Gradle )?JVM version is (\d+)",
        "java <={0}{1}",
        weight=80,
    ),
    pattern("wrong_toolchain", r"[Ss]ource (?:option|value) (?:1\.)?([56]) is no longer supported", "source {0}", weight=92),
    pattern("wrong_toolchain", r"[Tt]arget option (?:1\.)?([56]) is no longer supported", "source {0}", weight=91),
    pattern(
        "wrong_toolchain",
        r"[Ss]ource (?:option|value) (?:1\.)?7 is no longer supported|[Tt]arget option (?:1\.)?7 is no longer supported",
        "java <20",
        weight=92,
    ),
    pattern(
        "wrong_toolchain",
        r"package (?:javax\.xml\.bind|javax\.annotation|javax\.activation|javax\.xml\.ws|com\.sun\.image"
        r"|sun\.misc)\S* (?:does not exist|is not visible)",
        "java <9",
        weight=88,
    ),
    pattern(
        "wrong_toolchain",
        r"NoClassDefFoundError: javax/(?:xml/bind|activation|annotation)|ClassNotFoundException: javax\.(?:xml\.bind|annotation)",
        "java <9",
        weight=86,
    ),
    pattern(
        "wrong_toolchain",
        r"Could not find artifact com\.sun:tools:jar|tools\.jar.*(?:not found|missing|does not exist)|jdk\.tools:jdk\.tools",
        "java <9",
        weight=88,
    ),
    pattern(
        "wrong_toolchain",
        r"class (?:lombok\.javac\.apt\.LombokProcessor|lombok\.\S+) .*cannot access class com\.sun\.tools"
        r"|NoSuchFieldError.*JCImport.*qualid|TypeTag :: UNKNOWN",
        "java <17",
        weight=91,
    ),
    pattern(
        "wrong_toolchain", r"package (?:javax\.script|jdk\.nashorn)\S* does not exist|ScriptEngine.*nashorn.*null", "java <15", weight=84
    ),
    pattern(
        "wrong_toolchain",
        r"UnsupportedOperationException: The Security Manager is deprecated|Security Manager is not supported",
        "java <18",
        weight=86,
    ),
    pattern(
        "wrong_toolchain",
        r"(?:Mockito|Byte ?Buddy).*(?:Java (\d+) \(\d+\) is not supported|not supported by the current version of Byte Buddy)",
        "java <{0}",
        weight=84,
    ),
    pattern(
        "wrong_toolchain",
        r"Unrecognized VM option '(?:MaxPermSize|UseConcMarkSweepGC|UseParNewGC|AggressiveOpts|PermSize)"
        r"|Unrecognized option: --illegal-access",
        "java <14",
        weight=88,
    ),
    pattern(
        "java_modules",
        r"InaccessibleObjectException|module java\.base does not \"?(?:opens|export)|cannot access class .* because module java\.base",
        weight=84,
    ),
    pattern("java_modules", r"Unable to make .* accessible: module", weight=84),
    # What a build checks beside the code.
    pattern("quality_gate", rf"Failed to execute goal \S*:(?:maven-|apache-)?({_CHECKS})\b[\w-]*", weight=90),
    pattern(
        "quality_gate",
        r"Execution failed for task ':\S*?(checkstyle|spotless|pmd|spotbugs|license|javadoc|forbiddenApis|ktlint|detekt"
        r"|animalsniffer|rat|japicmp|signing|sign)\w*'",
        weight=90,
    ),
    pattern(
        "version_from_git",
        r"(?:git-commit-id|buildnumber|jgitver|nebula|axion|palantir.*git-version|grgit|reckon"
        r"|gitVersion).*(?:[Ee]xception|not found|[Ff]ailed|Cannot|could not)",
        weight=78,
    ),
    pattern(
        "insecure_repository",
        r"maven-default-http-blocker|Blocked mirror for repositories|Using insecure protocols with repositories",
        weight=93,
    ),
    pattern("missing_module", r"Could not (?:find|resolve) (?:artifact )?([\w.-]+:[\w.-]+(?::[\w.-]+)*)", "java {0}", weight=40),
    pattern("missing_module", r"error: package ([\w.]+) does not exist", "java {0}", weight=38),
    pattern(
        "old_build_tool",
        r"Detected Maven Version: [\d.]+ is not in the allowed range \[?([\d.]+)|requires Maven version ([\d.]+)",
        "maven >={0}{1}",
        weight=92,
    ),
    pattern(
        "old_build_tool",
        r"Minimum supported Gradle version is ([\d.]+)|requires Gradle ([\d.]+) or (?:later|newer)",
        "gradle >={0}{1}",
        weight=88,
    ),
    pattern("missing_build_system", r"^(Gradle|Maven) .*\bcannot be had\b|^This image has no (Maven)\b", weight=97),
    pattern(
        "missing_build_system",
        r"Could not install Gradle distribution|Exception in thread \"main\" .*(?:services\.gradle\.org|org\.gradle\.wrapper\.)",
        "Gradle",
        weight=88,
    ),
    pattern(
        "missing_build_system",
        r"(?i)(?:could ?n[o']t|cannot|failed to) (?:download|fetch|install|validate) .*(?:apache-maven|maven-wrapper|maven distribution)",
        "Maven",
        weight=88,
    ),
    pattern(
        "display",
        r"java\.awt\.HeadlessException|Can't connect to X11 window server|libawt_xawt\.so|No X11 DISPLAY variable was set",
        "java",
        weight=92,
    ),
    pattern(
        "missing_program",
        r"JAVA_HOME (?:is not|environment variable is not) (?:set|defined)|no 'java' command could be found",
        "javac",
        weight=80,
    ),
    pattern("missing_program", r"gradlew: (?:Permission denied|not found)|mvnw: Permission denied", "gradlew", weight=30),
    pattern(
        "flaky_download",
        r"Could not (?:GET|HEAD) '|Could not transfer artifact .*(?:timed out|reset|50\d)|Premature end of Content-Length",
        weight=62,
    ),
)

"""Plug-ins of Maven that are no part of building and testing, and are taken out of every project before it is built: their settings
may forbid to skip them, and they would have to be fetched even where they are skipped. So is one that cannot be had at all.

Maven has no argument for that, so it is an extension of a few lines, compiled by the image's JDK. One that this Maven does not load is
taken away again, and then the properties by which plug-ins are skipped must do.
"""

from __future__ import annotations

from typing import Final

from podgym.envs.build.languages.java.settings import BIN, JDK, LEAVE_OUT, LEFT_OUT, MAVEN
from podgym.envs.build.languages.java.tools import file_of
from podgym.envs.build.plan import TOOLS

__all__ = ["leave_out"]

_CHECKS: Final = (
    "animal-sniffer-maven-plugin", "apache-rat-plugin", "central-publishing-maven-plugin", "clirr-maven-plugin", "cyclonedx-maven-plugin",
    "dependency-check-maven", "editorconfig-maven-plugin", "findbugs-maven-plugin", "fmt-maven-plugin", "forbiddenapis",
    "formatter-maven-plugin", "git-code-format-maven-plugin", "impsort-maven-plugin", "japicmp-maven-plugin", "license-maven-plugin",
    "maven-checkstyle-plugin", "maven-enforcer-plugin", "maven-gpg-plugin", "maven-javadoc-plugin", "maven-pmd-plugin",
    "modernizer-maven-plugin", "nexus-staging-maven-plugin", "ossindex-maven-plugin", "pgpverify-maven-plugin", "revapi-maven-plugin",
    "sonar-maven-plugin", "sortpom-maven-plugin", "spotbugs-maven-plugin", "spotless-maven-plugin", "spring-javaformat-maven-plugin",
    "tidy-maven-plugin", "versions-maven-plugin",
)  # fmt: skip
"""By artifact. Those of coverage stay: they fill in arguments of the tests."""

_CODE: Final = """\
package podgym;

import java.nio.file.*;
import java.util.*;
import org.apache.maven.*;
import org.apache.maven.execution.MavenSession;
import org.apache.maven.project.MavenProject;

public class LeaveOut extends AbstractMavenLifecycleParticipant {
    @Override
    public void afterProjectsRead(MavenSession session) throws MavenExecutionException {
        Set<String> names;
        try {
            names = new HashSet<>(Files.readAllLines(Paths.get("@LIST@")));
        } catch (java.io.IOException error) {
            return;
        }
        for (MavenProject project : session.getProjects()) {
            if (project.getBuild().getPlugins().removeIf(one -> names.contains(one.getArtifactId()))) project.getBuild().flushPluginMap();
        }
    }
}
"""
_COMPONENT: Final = """\
<component-set><components><component><role>org.apache.maven.AbstractMavenLifecycleParticipant</role><role-hint>podgym</role-hint>
<implementation>podgym.LeaveOut</implementation><isolated-realm>false</isolated-realm></component></components></component-set>
"""
_EMPTY: Final = (
    "<project><modelVersion>4.0.0</modelVersion><groupId>podgym</groupId><artifactId>empty</artifactId><version>1</version>"
    "<packaging>pom</packaging></project>\n"
)

_MAKE: Final = """\
if {jdk}/bin/javac -cp '{maven}/lib/*' -d "$out" "$out/LeaveOut.java" && {jdk}/bin/jar cf {jar} -C "$out" podgym -C "$out" META-INF &&
  (cd "$out" && {bin}/mvn -q validate); then :
else
  rm -f {jar}
  echo 'Maven: plug-ins that check the code are skipped, not left out' >> "$log"
fi
rm -rf "$out"
"""


def leave_out() -> str:
    """Shell that makes the extension and the list that it reads."""
    out = f"{TOOLS}/leaving"
    return (
        f"out={out}\nmkdir -p $out/META-INF/plexus\n"
        + file_of(LEFT_OUT, "\n".join(_CHECKS) + "\n")
        + file_of(f"{out}/LeaveOut.java", _CODE.replace("@LIST@", LEFT_OUT))
        + file_of(f"{out}/META-INF/plexus/components.xml", _COMPONENT)
        + file_of(f"{out}/pom.xml", _EMPTY)
        + _MAKE.format(jdk=JDK, maven=MAVEN, jar=LEAVE_OUT, bin=BIN)
    )

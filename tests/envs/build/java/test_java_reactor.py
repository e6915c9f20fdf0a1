from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from java_requests import child, needs, pom, tree

from podgym.envs.build.languages.java.elements import read_elements
from podgym.envs.build.languages.java.levels import enforced_java, least_maven, levels_of, toolchain_versions
from podgym.envs.build.languages.java.reactor import Reactor

SHOP = {
    "pom.xml": pom(
        "<packaging>pom</packaging><modules><module>api</module><module>core</module><module>build/web/pom.xml</module></modules>"
        "<properties><java>11</java><maven.compiler.release>${java}</maven.compiler.release></properties>"
        "<profiles><profile><id>extra</id><modules><module>extra</module></modules></profile></profiles>"
    ),
    "api/pom.xml": child("api"),
    "core/pom.xml": child("core", needs("api") + "<properties><java>17</java></properties>"),
    "build/web/pom.xml": child("web", "<parent-is-far/>" + needs("core")),
    "extra/pom.xml": child("extra", needs("web")),
    "sample/pom.xml": pom("", artifact="sample"),
    "core/src/test/resources/pom.xml": pom("", artifact="data"),
}


def test_modules_parents_and_needs_are_those_of_the_repository() -> None:
    reactor = Reactor(tree(SHOP))
    core, web, extra = (reactor.poms[path] for path in ("core/pom.xml", "build/web/pom.xml", "extra/pom.xml"))
    assert "core/src/test/resources/pom.xml" not in reactor.poms
    assert [one.path for one in reactor.line(web)] == ["build/web/pom.xml", "pom.xml"]
    assert [one.path for one in reactor.upstream([core])] == ["pom.xml", "api/pom.xml"]
    assert [one.path for one in reactor.upstream([core, web])] == ["pom.xml", "api/pom.xml", "core/pom.xml"]
    assert [[one.path for one in level] for level in reactor.levels([web, core])] == [["core/pom.xml"], ["build/web/pom.xml"]]
    assert reactor.root(core)[0].path == "pom.xml" and reactor.root(core)[1] == ()
    assert reactor.root(extra) == (reactor.poms["pom.xml"], ("extra",))
    assert reactor.root(reactor.poms["sample/pom.xml"])[0].path == "sample/pom.xml"
    assert {one.path for one in reactor.members(reactor.poms["pom.xml"])} == {"pom.xml", "api/pom.xml", "core/pom.xml", "build/web/pom.xml"}
    owner = reactor.owner("core/src/test/java/A.java")
    assert owner is core and reactor.owner("README.md") is reactor.poms["pom.xml"]


def test_levels_are_inherited_and_properties_replaced() -> None:
    reactor = Reactor(tree(SHOP))
    assert levels_of(reactor, [reactor.poms["api/pom.xml"]]) == (11,)
    assert levels_of(reactor, [reactor.poms["core/pom.xml"]]) == (11, 17)


def test_a_compiler_s_own_settings_count_and_those_of_a_profile_do_not() -> None:
    plugin = "<plugin><artifactId>maven-compiler-plugin</artifactId><configuration><source>1.{0}</source></configuration></plugin>"
    profile = f"<profiles><profile><id>x</id><build><plugins>{plugin.format(9)}</plugins></build></profile></profiles>"
    text = pom(f"<build><pluginManagement><plugins>{plugin.format(6)}</plugins></pluginManagement></build>{profile}")
    reactor = Reactor(tree({"pom.xml": text}))
    assert levels_of(reactor, reactor.poms.values()) == (6,)


def test_versions_of_other_things_are_no_levels() -> None:
    names = "<graphql-java.version>21</graphql-java.version><java.version>17</java.version><javaparser.version>3</javaparser.version>"
    reactor = Reactor(tree({"pom.xml": pom(f"<properties>{names}</properties>")}))
    assert levels_of(reactor, reactor.poms.values()) == (17,)


def test_rules_and_toolchains() -> None:
    rules = (
        "<requireJavaVersion><version>[17,)</version></requireJavaVersion><requireMavenVersion><version>3.9</version></requireMavenVersion>"
    )
    enforcer = f"<plugin><artifactId>maven-enforcer-plugin</artifactId><configuration><rules>{rules}</rules></configuration></plugin>"
    chain = (
        "<plugin><artifactId>maven-toolchains-plugin</artifactId><configuration><toolchains><jdk><version>1.8</version></jdk></toolchains>"
    )
    files = {"pom.xml": pom(f"<build><plugins>{enforcer}{chain}</configuration></plugin></plugins></build>")}
    reactor, poms = Reactor(tree(files)), Reactor(tree(files)).poms.values()
    assert enforced_java(reactor, poms) == 17
    assert toolchain_versions(reactor, poms) == ("1.8",)
    assert least_maven(reactor, poms, tree(files), [""]) == "3.9"
    place = ".mvn/wrapper/maven-wrapper.properties"
    files[place] = "distributionUrl=https://x.example/org/apache/maven/apache-maven/3.9.6/apache-maven-3.9.6-bin.zip\n"
    assert least_maven(reactor, poms, tree(files), [""]) == "3.9.6"


def test_broken_and_circular_files_leave_notes() -> None:
    files = {
        "pom.xml": pom("<modules><module>a</module><module>../outside</module><module>b</module></modules>"),
        "a/pom.xml": "<project><artifactId>a",
        "b/pom.xml": pom("<modules><module>..</module></modules><properties><x>${y}</x><y>${x}</y></properties>", artifact="b"),
    }
    reactor = Reactor(tree(files))
    assert reactor.notes == ["a/pom.xml cannot be read as a POM"]
    assert reactor.value(reactor.poms["b/pom.xml"], "${x}-${nothing}").endswith("-${nothing}")
    assert reactor.root(reactor.poms["b/pom.xml"])[0].path in ("pom.xml", "b/pom.xml")


def test_entities_are_refused() -> None:
    assert read_elements('<!DOCTYPE p [<!ENTITY a "b">]><project>&a;</project>', "project") is None


@given(st.text(max_size=200))
def test_any_text_can_be_a_pom(text: str) -> None:
    reactor = Reactor(tree({"pom.xml": text, "a/pom.xml": f"<project><modules><module>{text}</module></modules></project>"}))
    for one in reactor.poms.values():
        reactor.members(reactor.root(one)[0])
        levels_of(reactor, [one])

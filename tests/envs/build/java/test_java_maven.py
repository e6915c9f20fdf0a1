from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from java_requests import HERE, TEST, child, needs, pom, request

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.java import JAVA
from podgym.envs.build.languages.java.leaveout import leave_out
from podgym.envs.build.languages.java.loose import released_snapshots
from podgym.envs.build.languages.java.scope import find_scope
from podgym.envs.build.languages.java.settings import maven_wrapper, settings_xml, toolchains_xml
from podgym.envs.build.languages.java.tools import lenient_javac, trust_store
from podgym.envs.build.plan import BuildPlan

PLAIN = {
    "pom.xml": pom("<properties><maven.compiler.release>11</maven.compiler.release></properties>"),
    "src/main/java/a/B.java": "class B {}",
    "src/test/java/a/BTest.java": TEST.format("BTest"),
}
MODULES = {
    "pom.xml": pom("<packaging>pom</packaging><modules><module>api</module><module>core</module><module>web</module></modules>"),
    "api/pom.xml": child("api"),
    "core/pom.xml": child("core", needs("api")),
    "web/pom.xml": child("web", needs("core")),
    "core/src/main/java/a/B.java": "class B {}",
    "core/src/test/java/a/BTest.java": TEST.format("BTest"),
    "web/src/test/java/a/WebTest.java": TEST.format("WebTest"),
    ".mvn/maven.config": "-T1\n",
}

CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIUe51ETmqsEAYmaBk7NEC4Iu9pILUwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLcG9kZ3ltLXRlc3QwIBcNMjYxMTI5MTA0MjE4WhgPMjEyNjEx
MDUxMDQyMThaMBYxFDASBgNVBAMMC3BvZGd5bS10ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEO1FTWUkOIz0sDusd3/Qmdt7ckqQTpQnEDCesl7cqkthJTmyu
Le5/zAJCjWG0nI0G3M09zFY6J9+bwCpvxEoIN6NTMFEwHQYDVR0OBBYEFOs9tNTD
aah8eU/u7uLU2nsEZMZyMB8GA1UdIwQYMBaAFOs9tNTDaah8eU/u7uLU2nsEZMZy
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgBC8PQND73s2kCdkS
wQiTNrnpmwAOLZdlvCr/EuCyKR4CIQCIEvt3QVDgC/zduuIoiUYlEo3wOVCfwQJ3
DpMkJGUyLg==
-----END CERTIFICATE-----
"""


def shell_is_sound(plan: BuildPlan) -> None:
    for script in (*(step.run for step in plan.steps), *(command.script for command in (*plan.tests, *plan.changed))):
        done = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def test_a_plain_project() -> None:
    plan = JAVA.plan(request(PLAIN, source=["src/main/java/a/B.java"], tests=["src/test/java/a/BTest.java"], java=["11", "17"]))
    assert (plan.build_system, plan.toolchain, plan.framework, plan.root) == ("maven", "17", "surefire", "")
    assert plan.manifests == ("pom.xml",)
    assert plan.limits.memory_bytes == 4 << 30
    (command,) = plan.tests
    assert command.report is not None and command.report.files == ("target/surefire-reports/TEST-*.xml",)
    assert "-pl" not in command.script and 'mvn -fae "$phase" || rc=$?' in command.script
    assert "-Dtest=BTest" in plan.changed[0].script
    shell_is_sound(plan)


def test_modules_are_tested_with_what_they_need_each_level_on_its_own() -> None:
    tests = ["core/src/test/java/a/BTest.java", "web/src/test/java/a/WebTest.java"]
    plan = JAVA.plan(request(MODULES, source=["core/src/main/java/a/B.java"], tests=tests))
    lines = [line for line in plan.tests[0].script.splitlines() if line.startswith(("tested ", "/opt/podgym/bin/mvn"))]
    assert lines == [
        "tested core",
        '/opt/podgym/bin/mvn -fae -pl core -am "$phase" || rc=$?',
        "tested web",
        '/opt/podgym/bin/mvn -fae -pl web -am "$phase" || rc=$?',
    ]
    assert "for module in . api core web; do" in plan.tests[0].script
    assert plan.manifests == (".mvn/maven.config", "api/pom.xml", "core/pom.xml", "pom.xml", "web/pom.xml")
    shell_is_sound(plan)


def test_a_module_s_sources_may_lie_outside_of_it_and_in_other_directories() -> None:
    apart = "<build><sourceDirectory>../src/main/java</sourceDirectory>{0}</build>"
    tests = "<testSourceDirectory>${project.basedir}/../src/test/java</testSourceDirectory>"
    files = {
        "pom.xml": pom(
            "<packaging>pom</packaging><modules><module>notes</module><module>made</module><module>flat</module>"
            "<module>twin</module></modules>"
        ),
        "notes/pom.xml": child("notes", apart.format("")),
        "made/pom.xml": child("made", apart.format(tests)),
        "flat/pom.xml": child("flat", "<build><testSourceDirectory>test</testSourceDirectory></build>"),
        "twin/pom.xml": child("twin", "<build><testSourceDirectory>../flat/test</testSourceDirectory></build>"),
        "src/main/java/a/B.java": "class B {}",
        "src/test/java/a/BTest.java": TEST.format("BTest"),
        "flat/test/a/FlatTest.java": TEST.format("FlatTest"),
    }
    plan = JAVA.plan(request(files, source=["src/main/java/a/B.java"], tests=["src/test/java/a/BTest.java"]))
    assert "tested made\n" in plan.tests[0].script and "tested notes" not in plan.tests[0].script
    assert "-Dtest=BTest" in plan.install[0].run and '"$module/test" src/main/java src/test/java\n' in plan.tests[0].script
    shell_is_sound(plan)
    plan = JAVA.plan(request(files, source=["src/main/java/a/B.java"], tests=["flat/test/a/FlatTest.java"]))
    assert "-Dtest=FlatTest" in plan.install[0].run and "tested flat made\n" in plan.tests[0].script


def test_a_module_that_the_fix_makes_is_built_where_it_is() -> None:
    base = {path: text for path, text in MODULES.items() if not path.startswith("web/")}
    base["pom.xml"] = MODULES["pom.xml"].replace("<module>web</module>", "")
    tests = ["core/src/test/java/a/BTest.java", "web/src/test/java/a/WebTest.java"]
    plan = JAVA.plan(request(MODULES, base=base, source=["core/src/main/java/a/B.java"], tests=tests))
    for script in (plan.tests[0].script, plan.install[0].run):
        assert "tested core" in script and "if [ -f web/pom.xml ]; then\ntested web\n" in script
        assert "if [ -f core/pom.xml ]" not in script
    shell_is_sound(plan)


def test_what_ci_tells_every_run_of_the_tests_is_told_too() -> None:
    profiles = "".join(f"<profile><id>{name}</id></profile>" for name in ("jdk9", "release", "AlsoSlowTests"))
    body = f"<profiles>{profiles}</profiles><url>${{flavour}} ${{docker.tests}}</url>"
    files = {**PLAIN, "pom.xml": pom(body)}
    asked = {"source": ["src/main/java/a/B.java"], "tests": ["src/test/java/a/BTest.java"]}
    commands = [
        "./mvnw -B verify -Pjdk9,release,AlsoSlowTests,unknown -Ddocker.tests=true -Dflavour=a/b -DskipITs -Dother=1",
        "cd x && mvn test -P jdk9,AlsoSlowTests -Ddocker.tests=true -D flavour=a/b -DskipITs | tee log",
        "mvn deploy -DskipTests",
        "mvn package -DskipTests -Pnone",
    ]
    plan = JAVA.plan(request(files, commands=commands, **asked))
    assert "printf '%s ' -Pjdk9 -Dflavour=a/b > /opt/podgym/told\n" in plan.dependencies[0].run
    shell_is_sound(plan)
    plan = JAVA.plan(request(files, commands=["mvn verify -Dflavour"], **asked))
    assert "printf '%s ' -Dflavour=true > /opt/podgym/told\n" in plan.dependencies[0].run
    plan = JAVA.plan(request(files, commands=[*commands, "mvn verify"], **asked))
    assert "/opt/podgym/told\n" not in plan.dependencies[0].run.replace("told=$(cat /opt/podgym/told 2>/dev/null)", "")


def test_a_project_that_is_not_at_the_root() -> None:
    files = {f"java/{path}": text for path, text in PLAIN.items()} | {"setup.py": ""}
    plan = JAVA.plan(request(files, source=["java/src/main/java/a/B.java"], tests=["java/src/test/java/a/BTest.java"]))
    assert plan.root == "java" and plan.tests[0].cwd == "java"
    shell_is_sound(plan)


def test_integration_tests_are_failsafe_s() -> None:
    failsafe = "<build><plugins><plugin><artifactId>maven-failsafe-plugin</artifactId></plugin></plugins></build>"
    files = {**PLAIN, "pom.xml": pom(failsafe), "src/test/java/a/FlowIT.java": TEST.format("FlowIT")}
    plan = JAVA.plan(request(files, source=["src/main/java/a/B.java"], tests=["src/test/java/a/FlowIT.java"]))
    assert plan.framework == "failsafe"
    report = plan.tests[0].report
    assert report is not None and report.files == ("target/surefire-reports/TEST-*.xml", "target/failsafe-reports/TEST-*.xml")
    assert "-Dit.test=FlowIT" in plan.changed[0].script
    assert "for phase in verify; do" in plan.install[-1].run


def test_failures_that_a_pom_hides_are_told() -> None:
    hiding = "<properties><maven.test.failure.ignore>true</maven.test.failure.ignore></properties>"
    asked = {"source": ["src/main/java/a/B.java"], "tests": ["src/test/java/a/BTest.java"]}
    assert "grep -qE" in JAVA.plan(request({**PLAIN, "pom.xml": pom(hiding)}, **asked)).tests[0].script
    assert "grep -qE" not in JAVA.plan(request(PLAIN, **asked)).tests[0].script


def test_an_abstract_test_stands_for_those_that_extend_it() -> None:
    files = {
        **PLAIN,
        "src/test/java/a/AbstractStoreTest.java": "public abstract class AbstractStoreTest {\n  @Test void a() {}\n}",
        "src/test/java/a/FileStoreTest.java": "class FileStoreTest extends AbstractStoreTest {}",
    }
    plan = JAVA.plan(request(files, source=["src/main/java/a/B.java"], tests=["src/test/java/a/AbstractStoreTest.java"]))
    assert "-Dtest=FileStoreTest" in plan.changed[0].script


def test_what_only_the_fix_needs_is_fetched_by_name() -> None:
    added = "<dependencies><dependency><groupId>org.x</groupId><artifactId>new</artifactId><version>2</version></dependency></dependencies>"
    fixed = {**PLAIN, "pom.xml": pom(added + "<build><finalName>secret</finalName></build>")}
    plan = JAVA.plan(request(fixed, base=PLAIN, source=["pom.xml", "src/main/java/a/B.java"], tests=["src/test/java/a/BTest.java"]))
    assert "<artifactId>new</artifactId>" in plan.install[0].run and "secret" not in "".join(step.run for step in plan.steps)
    shell_is_sound(plan)
    same = {**PLAIN, "pom.xml": PLAIN["pom.xml"].replace("</project>", "<url>x</url></project>")}
    plan = JAVA.plan(request(same, base=PLAIN, source=["pom.xml"], tests=["src/test/java/a/BTest.java"]))
    assert "/added/" not in plan.install[0].run


def test_snapshots_are_told_and_their_releases_may_take_their_place() -> None:
    parent = "<parent><groupId>org.p</groupId><artifactId>base</artifactId><version>2.1-SNAPSHOT</version></parent>"
    plan = JAVA.plan(request({**PLAIN, "pom.xml": pom(parent)}, source=["src/main/java/a/B.java"], tests=["src/test/java/a/BTest.java"]))
    assert "org.p:base:2.1-SNAPSHOT" in plan.notes[0]
    assert "released org.p base 2.1-SNAPSHOT pom" in plan.install[0].run
    shell_is_sound(plan)


def test_old_levels_get_a_lenient_compiler_where_the_jdk_is_newer() -> None:
    old = {**PLAIN, "pom.xml": pom("<properties><maven.compiler.source>1.5</maven.compiler.source></properties>")}
    asked = {"source": ["src/main/java/a/B.java"], "tests": ["src/test/java/a/BTest.java"]}
    gone = Catalogue(present=HERE, absent=frozenset({"maven:3-eclipse-temurin-8", "maven:3-eclipse-temurin-11"}))
    plan = JAVA.plan(replace(request(old, **asked), catalogue=gone))
    assert plan.toolchain == "17"
    assert "javac-lenient" in plan.dependencies[0].run and "export JDK_JAVA_OPTIONS='--add-opens" in plan.dependencies[0].run
    assert "javac-lenient" not in JAVA.plan(request(PLAIN, **asked)).dependencies[0].run
    shell_is_sound(plan)


def test_names_from_the_repository_are_quoted() -> None:
    odd = "it's; touch x"
    files = {f"{odd}/{path}": text for path, text in PLAIN.items()}
    plan = JAVA.plan(request(files, source=[f"{odd}/src/main/java/a/B.java"], tests=[f"{odd}/src/test/java/a/BTest.java"]))
    shell_is_sound(plan)


@pytest.mark.parametrize(("files", "reason"), [({"build.xml": ""}, "unsupported_build"), ({"README": ""}, "no_build_file")])
def test_what_is_no_maven_or_gradle_is_refused(files: Mapping[str, str], reason: str) -> None:
    with pytest.raises(BuildError) as caught:
        JAVA.plan(request({**files, "src/A.java": ""}, source=["src/A.java"]))
    assert caught.value.reason == reason


def test_a_broken_pom_is_refused() -> None:
    with pytest.raises(BuildError, match="POM"):
        JAVA.plan(request({**PLAIN, "pom.xml": "<project>"}, source=["src/main/java/a/B.java"], tests=["src/test/java/a/BTest.java"]))


def test_settings_know_mirrors_proxies_and_marks() -> None:
    text = settings_xml({"HTTPS_PROXY": "http://u%40x:p@proxy.example:3128", "NO_PROXY": "localhost,.example"}, tested=True)
    assert "<host>proxy.example</host><port>3128</port><username>u@x</username>" in text
    assert "<nonProxyHosts>localhost|*.example</nonProxyHosts>" in text
    assert "<missing>/opt/podgym/tested${basedir}/yes</missing>" in text
    assert "<mirrorOf>*</mirrorOf>" in settings_xml({"MAVEN_MIRROR_URL": "https://maven.example/x?a&b"}, tested=False)
    assert "<proxies>" not in settings_xml({"HTTPS_PROXY": "http://[bad"}, tested=False)
    assert toolchains_xml(["[1.8,9)", "11"], 17).count("<jdkHome>") == 3


@pytest.mark.parametrize(
    ("jdk", "levels", "expected", "unexpected"),
    [
        ("1.8.0_392", (8, 5), [], ["javac-lenient", "--add-opens"]),
        ("17.0.9", (8, 6), ["javac-lenient", "JDK_JAVA_OPTIONS=--add-opens"], ["security.manager"]),
        ("17.0.9", (17, 7), ["--add-opens"], ["javac-lenient", "JDK_JAVA_OPTIONS=-"]),
        ("21.0.1", (8, 7), ["javac-lenient", "-Djava.security.manager=allow"], []),
        ("25.0.3", (8, 0), ["JDK_JAVA_OPTIONS=--add-opens"], ["javac-lenient", "security.manager"]),
    ],
)
def test_the_wrapper_follows_the_jdk_that_is_there(
    tmp_path: Path, jdk: str, levels: tuple[int, int], expected: list[str], unexpected: list[str]
) -> None:
    text = maven_wrapper(wanted=levels[0], lowest=levels[1], flags=["-Px y"], trust=True).replace("/opt/podgym", str(tmp_path))
    for place in ("jdk", "maven/bin"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "jdk/release").write_text(f'JAVA_VERSION="{jdk}"\n')
    fake = tmp_path / "maven/bin/mvn"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "JDK_JAVA_OPTIONS=${JDK_JAVA_OPTIONS:-}" "MAVEN_OPTS=$MAVEN_OPTS" "$@"\n')
    fake.chmod(0o755)

    def said(**env: str) -> str:
        plain = {"PATH": "/usr/bin:/bin", "MAVEN_OPTS": "-Dmine=1", **env}
        return subprocess.run(["sh", "-c", text, "mvn", "test"], env=plain, capture_output=True, text=True, check=True).stdout

    offline, online = said(), said(PODGYM_ONLINE="1", PODGYM_SETTINGS="/else")
    assert "\n-o\n" in offline and "trustStore" not in offline and offline.endswith("\n-Px y\ntest\n")
    assert "\n-o\n" not in online and "trustStore" in online and "\n-s\n/else\n" in online and " -Dmine=1" in online
    assert all(one in offline for one in expected) and not any(one in offline for one in unexpected)


def test_the_lenient_compiler_raises_levels_on_its_command_line_and_in_files(tmp_path: Path) -> None:
    shown = tmp_path / "jdk" / "bin" / "javac"
    shown.parent.mkdir(parents=True)
    shown.write_text('#!/bin/sh\nfor one; do case $one in @*) cat "${one#@}";; *) printf "%s\\n" "$one";; esac; done\n')
    shown.chmod(0o755)
    (tmp_path / "jdk" / "release").write_text('IMPLEMENTOR="x"\nJAVA_VERSION="17.0.9"\n')
    script = lenient_javac().replace("/opt/podgym/jdk", str(tmp_path / "jdk")).replace("/opt/podgym/bin", str(tmp_path))
    subprocess.run(["sh", "-c", script], check=True)
    arguments = tmp_path / "arguments"
    arguments.write_text('"-source"\n"1.5"\n"-d"\n"1.5"\n"-target"\n"6"\n')
    done = subprocess.run(
        [str(tmp_path / "javac-lenient"), f"@{arguments}", "--release", "8", "-source", "1.6", "5"],
        capture_output=True,
        text=True,
        check=True,
    )
    words = [word for word in done.stdout.split() if not word.startswith("-J")]
    assert words == ['"-source"', "7", '"-d"', '"1.5"', '"-target"', "7", "--release", "8", "-source", "7", "5"]


def test_a_vanished_snapshot_is_replaced_by_its_release(tmp_path: Path) -> None:
    parent = "<parent><groupId>org.p.q</groupId><artifactId>base</artifactId><version>2.1-SNAPSHOT</version></parent>"
    asked = request({**PLAIN, "pom.xml": pom(parent)}, source=["src/main/java/a/B.java"], tests=["src/test/java/a/BTest.java"])
    scope = find_scope(asked.base, asked.fixed, changed_source=asked.changed_source, changed_tests=asked.changed_tests)
    place = tmp_path / "m2/org/p/q/base"
    fake = tmp_path / "bin/mvn"
    fake.parent.mkdir()
    fake.write_text(
        "#!/bin/sh\ncase $* in *RELEASE*) ;; *) exit 1 ;; esac\n"
        + "".join(f"mkdir -p {place}/{v} && echo {v} > {place}/{v}/base-{v}.pom\n" for v in ("1.9", "2.0", "2.0.10"))
    )
    fake.chmod(0o755)
    script = f"set -eu\nlog={tmp_path}/log\n" + released_snapshots(scope).replace("/opt/podgym", str(tmp_path))
    subprocess.run(["sh", "-c", script], check=True)
    assert (place / "2.1-SNAPSHOT/base-2.1-SNAPSHOT.pom").read_text() == "2.0.10\n"
    assert "org.p.q:base:2.0.10 in place of 2.1-SNAPSHOT" in (tmp_path / "log").read_text()


ABSENT = "[ERROR] Plugin {0}:1 or one of its dependencies could not be resolved: {1}Could not find artifact {2}:jar:1 in central (x)"


def installed(tmp_path: Path, fake: str, *, body: str = "") -> tuple[int, list[str], list[str], str]:
    """Exit code, what Maven was asked for, what is left out beyond the list, and the log of an installation with `fake` for Maven."""
    files = {**PLAIN, "pom.xml": pom(body)}
    step = JAVA.plan(request(files, source=["src/main/java/a/B.java"], tests=["src/test/java/a/BTest.java"])).install[-1]
    (tmp_path / "app").mkdir()
    for place in ("bin", "m2"):
        (tmp_path / place).mkdir()
    (tmp_path / "left-out").write_text("some-check\n")
    for name in ("leave-out.jar", "install.log"):
        (tmp_path / name).touch()
    mvn = tmp_path / "bin/mvn"
    goals = "for goal; do case $goal in test|package|*:get) break ;; esac; done\n"
    mvn.write_text(
        f"#!/bin/sh\ncd {tmp_path}\n{goals}goal=${{goal##*:}}\necho $goal >> asked\nout() {{ grep -qx $1 left-out; }}\n{fake}exit 1\n"
    )
    mvn.chmod(0o755)
    script = step.run.replace("/opt/podgym", str(tmp_path))
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path / "app", capture_output=True, text=True, check=False, timeout=60)
    left = (tmp_path / "left-out").read_text().split()[1:]
    return done.returncode, (tmp_path / "asked").read_text().split(), left, (tmp_path / "install.log").read_text() + done.stderr


@pytest.mark.parametrize(
    "between", ["", "\\n[ERROR] \\t", "\\n[ERROR] \\tCould not collect x\\n[ERROR] \\t"], ids=["one line", "two lines", "three lines"]
)
def test_a_plug_in_that_cannot_be_had_is_left_out_when_all_phases_have_failed(tmp_path: Path, between: str) -> None:
    line = ABSENT.format("org.p:shrink-plugin", between, "org.q:core") + "\\n[ERROR] -> [Help 1]\\n"
    code, asked, left, log = installed(tmp_path, f"out shrink-plugin && exit 0\nprintf '{line}'\n")
    assert (code, left) == (0, ["shrink-plugin"]), log
    assert asked == ["test", "package", "test", "test"]
    assert "without the plug-in shrink-plugin" in log and (tmp_path / "phase").read_text() == "test\n"


def test_a_vanished_plug_in_is_replaced_before_one_is_left_out(tmp_path: Path) -> None:
    plugin = "<plugin><groupId>org.p</groupId><artifactId>gen-plugin</artifactId><version>1-SNAPSHOT</version></plugin>"
    line = ABSENT.format("org.p:gen-plugin", "", "org.p:gen-plugin").replace(":1 ", ":1-SNAPSHOT ")
    fake = "[ $goal != get ] || { touch there; exit 0; }\n[ ! -f there ] || exit 0\n"
    fake += f"[ $goal = package ] || line='Could not transfer x'\necho \"${{line:-{line}}}\"\n"
    code, asked, left, log = installed(tmp_path, fake, body=f"<build><plugins>{plugin}</plugins></build>")
    assert (code, left, asked) == (0, [], ["test", "package", "get", "test", "test"]), log


@pytest.mark.parametrize("names", [("org.example:app", "org.x:y"), ("org.x:y", "org.example:app")])
def test_what_the_build_makes_itself_is_never_left_out(tmp_path: Path, names: tuple[str, str]) -> None:
    line = ABSENT.format(names[0], "", names[1])
    code, asked, left, log = installed(tmp_path, f"echo '{line}'\n")
    assert (code, left, asked) == (1, [], ["test", "package"]) and "Maven cannot build" in log


def test_leaving_out_ends(tmp_path: Path) -> None:
    line = ABSENT.format("org.p:p'$(wc -l < asked)'", "", "org.q:core")
    code, asked, left, _ = installed(tmp_path, f"echo '{line}'\n")
    assert code == 1 and len(left) == 4 and len(asked) == 10


def test_what_is_left_out_already_is_no_reason_to_try_again(tmp_path: Path) -> None:
    code, asked, left, _ = installed(tmp_path, f"echo '{ABSENT.format('org.p:some-check', '', 'org.q:core')}'\n")
    assert (code, left, asked) == (1, [], ["test", "package"])


@pytest.mark.skipif(not (shutil.which("mvn") and shutil.which("javac")), reason="Maven or a JDK is not installed")
def test_plug_ins_that_check_the_code_are_taken_out_of_the_build(tmp_path: Path) -> None:
    tools, javac = tmp_path / "tools", Path(shutil.which("javac") or "").resolve()
    tools.joinpath("bin").mkdir(parents=True)
    tools.joinpath("jdk").symlink_to(javac.parent.parent)
    tools.joinpath("maven").symlink_to(Path(shutil.which("mvn") or "").resolve().parent.parent)
    tools.joinpath("settings.xml").write_text("<settings/>")
    tools.joinpath("toolchains.xml").write_text("<toolchains/>")

    def run(script: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        text = "set -eu\nlog=/dev/stderr\n" + script.replace("/opt/podgym", str(tools))
        return subprocess.run(["sh", "-c", text], cwd=cwd, capture_output=True, text=True, check=False)

    tools.joinpath("bin/mvn").write_text(maven_wrapper(wanted=17, lowest=0, flags=(), trust=False).replace("/opt/podgym", str(tools)))
    tools.joinpath("bin/mvn").chmod(0o755)
    made = run(leave_out(), tmp_path)
    assert made.returncode == 0 and tools.joinpath("leave-out.jar").exists(), made.stdout + made.stderr
    (tmp_path / "app").mkdir()
    checks = "".join(
        f"<plugin><groupId>org.none</groupId><artifactId>{name}</artifactId><version>1</version><executions><execution><phase>validate</phase>"
        "<goals><goal>check</goal></goals></execution></executions></plugin>"
        for name in ("maven-checkstyle-plugin", "odd-plugin")
    )
    (tmp_path / "app/pom.xml").write_text(pom(f"<packaging>pom</packaging><build><plugins>{checks}</plugins></build>"))
    done = run("/opt/podgym/bin/mvn -q validate", tmp_path / "app")
    assert done.returncode != 0 and "odd-plugin" in done.stdout and "maven-checkstyle-plugin" not in done.stdout
    with tools.joinpath("left-out").open("a") as names:
        names.write("odd-plugin\n")
    assert run("/opt/podgym/bin/mvn -q validate", tmp_path / "app").returncode == 0


@pytest.mark.skipif(shutil.which("javac") is None, reason="no JDK is installed")
def test_java_trusts_the_bundle_and_what_it_trusted_before(tmp_path: Path) -> None:
    home = Path(shutil.which("javac") or "").resolve().parent.parent
    (tmp_path / "jdk").symlink_to(home)
    bundle = tmp_path / "own.pem"
    bundle.write_text(CERTIFICATE)
    script = "set -eu\n" + trust_store(str(bundle)).replace("/opt/podgym", str(tmp_path))
    subprocess.run(["sh", "-c", script], check=True, env={"PATH": "/usr/bin:/bin", "JAVA_HOME": str(home)})
    listing = [str(home / "bin/keytool"), "-list", "-keystore", str(tmp_path / "trust.jks"), "-storepass", "changeit"]
    shown = subprocess.run(listing, check=True, capture_output=True, text=True).stdout
    assert "\nc0, " in shown and shown.count("trustedCertEntry") > 1
    assert not (tmp_path / "Trust.java").exists()

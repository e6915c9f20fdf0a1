"""Toolchains of the local provider: what names ask for, what is found on made-up machines, and what sandboxes see of this one."""

from __future__ import annotations

import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.sandbox import Copy, ImageError, ImageRecipe, KnowsBases, SandboxSpec, Step
from podgym.sandbox.local import LocalConfig, LocalProvider, find_layers
from podgym.sandbox.local.binds import Binds, masks
from podgym.sandbox.local.toolchains import Toolchain, Toolchains, wanted_of
from podgym.sandbox.local.toolchains.native import read_release
from podgym.sandbox.local.toolchains.places import Places
from podgym.sandbox.local.toolchains.toolchain import accepts, combined, installed_at

SYSTEM = (("system", ""),)


class TestNames:
    @pytest.mark.parametrize(
        ("base", "parts"),
        [
            ("python:3.11-bookworm", (("python", "3.11"),)),
            ("docker.io/library/python:3.9.18-slim", (("python", "3.9"),)),
            ("golang:1.26-bookworm", (("go", "1.26"),)),
            ("golang:1.22.3", (("go", "1.22.3"),)),
            ("golang", (("go", ""),)),
            ("golang:bookworm", (("go", ""),)),
            ("registry.example.org:5000/mirror/golang:1.26", (("go", "1.26"),)),
            ("public.ecr.aws/docker/library/rust:1.95-slim-bookworm", (("rust", "1.95"),)),
            ("library/rust:1", (("rust", "1"),)),
            ("rustlang/rust:nightly-slim", (("rust", "nightly"),)),
            ("localhost/node:20-alpine3.19", (("node", "20"),)),
            ("node:lts", (("node", ""),)),
            ("gcc:12-cmake", (("gcc", "12"),)),
            ("gcc:12.2.0", (("gcc", "12.2.0"),)),
            ("eclipse-temurin:17-jdk-jammy", (("java", "17"),)),
            ("eclipse-temurin:17.0.9_9-jre", (("java", "17.0.9"),)),
            ("eclipse-temurin:8u392-b08-jdk", (("java", "8.0.392"),)),
            ("openjdk:8", (("java", "8"),)),
            ("openjdk:11.0.16-jdk-slim", (("java", "11.0.16"),)),
            ("amazoncorretto:21", (("java", "21"),)),
            ("maven:3-eclipse-temurin-17", (("java", "17"), ("maven", "3"))),
            ("maven:3.9.9-eclipse-temurin-21-noble", (("java", "21"), ("maven", "3.9.9"))),
            ("maven:3-jdk-8-slim", (("java", "8"), ("maven", "3"))),
            ("maven:eclipse-temurin-17", (("java", "17"), ("maven", ""))),
            ("maven:3.8", (("java", ""), ("maven", "3.8"))),
            ("maven", (("java", ""), ("maven", ""))),
            ("gradle:8.5.0-jdk17-alpine", (("java", "17"), ("gradle", "8.5.0"))),
            ("gradle:jdk21", (("java", "21"), ("gradle", ""))),
            ("gradle:7-focal", (("java", ""), ("gradle", "7"))),
            ("buildpack-deps:bookworm", (("gcc", ""),)),
            ("buildpack-deps:bookworm-scm", SYSTEM),
            ("debian:bookworm-slim", SYSTEM),
            ("ubuntu:22.04", SYSTEM),
            ("ubuntu", SYSTEM),
        ],
    )
    def test_what_they_ask_for(self, base, parts):
        wanted = wanted_of(base)
        assert wanted is not None
        assert wanted.parts == parts

    def test_host_asks_for_nothing(self):
        assert wanted_of("host") is None

    @pytest.mark.parametrize(
        "base",
        [
            "alpine",
            "swift:6",
            "somebody/python:3.11",
            "docker.io/somebody/golang:1.26",
            "golang@sha256:" + "0" * 64,
            "python:2.7",
            "python",
            "golang:1.27rc1",
            "node:20/x",
            "eclipse-temurin:1x",
            "",
            ":1",
            "golang:",
            "go lang:1",
            "GOLANG:1",
        ],
    )
    def test_what_is_not_known_is_named(self, base):
        with pytest.raises(ImageError, match="it knows 'host' and python") as caught:
            wanted_of(base)
        assert repr(base) in caught.value.message
        assert caught.value.remedy

    @given(st.text(max_size=60) | st.from_regex(r"(maven|gradle|openjdk|golang|debian):[a-z0-9._-]{0,40}", fullmatch=True))
    def test_any_text_is_a_name_or_an_error(self, base):
        try:
            wanted = wanted_of(base)
        except ImageError:
            return
        assert wanted is None or all(tool for tool, _ in wanted.parts)


@pytest.mark.parametrize(
    ("wanted", "version", "fits"),
    [
        ("1.26", "1.26.8", True),
        ("1.26", "1.2.6", False),
        ("1.26.0", "1.26", True),
        ("1.26.8", "1.26", False),
        ("1", "1.95.0", True),
        ("20", "2.0.0", False),
        ("", "1.0", True),
        ("1.97", "1.97.0-nightly", False),
        ("", "1.97.0-nightly", False),
        ("nightly", "1.97.0-nightly", True),
        ("nightly", "1.97.0", False),
        ("nightly", "1.97.0-beta", False),
        ("8.0.392", "8.0.392", True),
        ("8", "8.0.392", True),
    ],
)
def test_versions_are_as_precise_as_the_tag(wanted, version, fits):
    assert accepts(wanted, version) is fits


def program(path: Path, says: str = "", *, to: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ncat >&{to} <<'END'\n{says}\nEND\n")
    path.chmod(0o755)


class Machine:
    """A made-up machine below a directory."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.home = top / "home/me"
        self.home.mkdir(parents=True)
        self.env: dict[str, str] = {}

    def toolchains(self, **configured: tuple[str, ...]) -> Toolchains:
        return Toolchains({}, places=Places(self.env, self.home, self.top, configured))

    def go(self, where: str, version: str) -> Path:
        root = self.top / where
        program(root / "bin/go")
        (root / "VERSION").write_text(f"go{version}\ntime 2026-01-01\n")
        return root

    def rust(self, where: str, version: str) -> Path:
        root = self.top / where
        (root / "lib/rustlib").mkdir(parents=True)
        program(root / "bin/cargo")
        program(root / "bin/rustc", f"rustc {version} (0123 2026-01-01)")
        return root

    def node(self, where: str, version: str) -> Path:
        program(self.top / where / "bin/node", f"v{version}")
        return self.top / where

    def jdk(self, where: str, version: str, *, release: bool = True) -> Path:
        root = self.top / where
        program(root / "bin/javac")
        program(root / "bin/java", f'openjdk version "{version}" 2026-01-01\nOpenJDK Runtime', to=2)
        if release:
            (root / "release").write_text(f'IMPLEMENTOR="X"\nJAVA_VERSION="{version}"\n')
        return root

    def maven(self, where: str, version: str, *, named: bool = False) -> Path:
        root = self.top / where
        program(root / "bin/mvn")
        (root / "lib").mkdir()
        with zipfile.ZipFile(root / "lib" / f"maven-core-{version if named else '3.x'}.jar", "w") as jar:
            if not named:
                jar.writestr("META-INF/maven/org.apache.maven/maven-core/pom.properties", f"#x\nversion={version}\n")
        return root

    def gradle(self, where: str, version: str) -> Path:
        root = self.top / where
        program(root / "bin/gradle")
        (root / "lib").mkdir()
        (root / "lib" / f"gradle-base-services-{version}.jar").touch()
        return root


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path.resolve() / "machine")


def found(toolchains: Toolchains, base: str) -> Toolchain:
    toolchain = toolchains.find(base, image="task")
    assert toolchain is not None
    return toolchain


class TestFinding:
    def test_go_by_every_place(self, machine):
        roots = {
            "1.22.3": machine.go("usr/local/go", "1.22.3"),
            "1.19.8": machine.go("usr/lib/go-1.19", "1.19.8"),
            "1.20": machine.go("home/me/sdk/go1.20", "1.20"),
            "1.21.1": machine.go("elsewhere/go", "1.21.1"),
            "1.24.0": machine.go("home/me/go/pkg/mod/golang.org/toolchain@v0.0.1-go1.24.0.linux-amd64", "1.24.0"),
            "1.25.2": machine.go("data/goes/1.25", "1.25.2"),
        }
        machine.env["GOROOT"] = str(roots["1.21.1"])
        toolchains = machine.toolchains(go=(str(roots["1.25.2"]),))
        for version, root in roots.items():
            go = found(toolchains, f"golang:{version}")
            assert (go.version, go.directories, go.path) == (version, (root,), (f"{root}/bin",))
            assert go.env == {"GOROOT": str(root), "GOTOOLCHAIN": "local", "GOLANG_VERSION": version}
            environment = go.environment("/usr/bin", isolated=True)
            assert (environment["PATH"], environment["GOPATH"]) == (f"/go/bin:{root}/bin:/usr/bin", "/go")
            assert set(go.environment("/usr/bin", isolated=False)) == {"PATH", "GOROOT", "GOTOOLCHAIN", "GOLANG_VERSION"}
        assert set(roots.values()) <= set(toolchains.directories)
        assert {f"golang:{minor}-bookworm" for minor in ("1.19", "1.20", "1.25")} <= toolchains.bases()

    def test_go_on_path_is_the_default_and_the_newest_fits_best(self, machine):
        machine.go("usr/local/go", "1.22.9")
        machine.go("home/me/sdk/go1.22.10", "1.22.10")
        link = machine.top / "tools/go"
        link.parent.mkdir(parents=True)
        link.symlink_to(machine.go("usr/lib/go-1.19", "1.19.8") / "bin/go")
        machine.env["PATH"] = f"{link.parent}:relative:"
        toolchains = machine.toolchains()
        assert found(toolchains, "golang").version == "1.19.8"
        assert found(toolchains, "golang:1.22").version == "1.22.10"
        assert found(toolchains, "golang:1").version == "1.22.10"

    def test_what_only_looks_like_go(self, machine):
        (machine.top / "usr/local/go").mkdir(parents=True)
        (machine.go("home/me/sdk/go1.21", "1.21") / "VERSION").write_text("devel +abc\n")
        (machine.go("home/me/sdk/go1.22", "1.22") / "bin/go").unlink()
        (machine.top / "home/me/sdk/go1.23").symlink_to("go1.23")
        with pytest.raises(ImageError, match=r"wants Go 1\.21, which this machine lacks \(found: none\)"):
            machine.toolchains().find("golang:1.21", image="task")

    def test_rust_by_the_toolchains_own_programs(self, machine):
        stable = machine.rust("home/me/.rustup/toolchains/stable-x86_64-unknown-linux-gnu", "1.95.0")
        old = machine.rust("home/me/.rustup/toolchains/1.70.0-x86_64-unknown-linux-gnu", "1.70.0")
        nightly = machine.rust("home/me/.rustup/toolchains/nightly-x86_64-unknown-linux-gnu", "1.97.0-nightly")
        machine.rust("home/me/.rustup/toolchains/broken", "nonsense")
        machine.rust("home/me/.rustup/toolchains/unknown", "1.1.0").joinpath("bin/cargo").unlink()
        (machine.top / "home/me/.rustup/settings.toml").write_text('default_toolchain = "1.70.0-x86_64-unknown-linux-gnu"\n')
        for shim in ("rustc", "cargo"):
            program(machine.home / ".cargo/bin" / shim, "rustup would download")
        machine.env["PATH"] = str(machine.home / ".cargo/bin")
        toolchains = machine.toolchains()
        assert found(toolchains, "rust:1.95-bookworm").path == (f"{stable}/bin",)
        assert found(toolchains, "rust").directories == (old,), "rustup's default"
        assert found(toolchains, "rust:1").directories == (stable,)
        assert found(toolchains, "rustlang/rust:nightly").directories == (nightly,)
        assert machine.home / ".cargo" not in toolchains.directories
        with pytest.raises(ImageError, match=r"found: 1\.70\.0, 1\.95\.0, 1\.97\.0-nightly"):
            toolchains.find("rust:1.97", image="task")
        assert {"rust:1.70-bookworm", "rust:1.95-bookworm"} <= toolchains.bases()
        assert "rust:1.97" not in toolchains.bases()
        versions = toolchains.versions()
        assert versions["rust"][0].startswith("1.70.") and versions["rust"][-1].endswith("-nightly") and versions["go"] == ()

    def test_node_of_every_manager(self, machine):
        roots = [
            machine.node("home/me/.nvm/versions/node/v18.20.1", "18.20.1"),
            machine.node("home/me/.local/share/fnm/node-versions/v20.11.0/installation", "20.11.0"),
            machine.node("home/me/.local/share/fnm/node-versions/v20.9.0/installation", "20.9.0"),
            machine.node("opt/node22", "22.1.0"),
        ]
        toolchains = machine.toolchains()
        assert [found(toolchains, f"node:{tag}").directories[0] for tag in ("18", "20-bookworm", "20.9", "22")] == roots
        assert found(toolchains, "node:20").env == {"NODE_VERSION": "20.11.0"}
        assert {"node:18", "node:20-bookworm", "node:22-bookworm"} <= toolchains.bases()

    def test_jdks_with_maven_and_gradle(self, machine):
        eight = machine.jdk("usr/lib/jvm/java-8", "1.8.0_392")
        seventeen = machine.jdk("usr/lib/jvm/java-17", "17.0.15")
        machine.jdk("usr/lib/jvm/jre-21", "21.0.1").joinpath("bin/javac").unlink()
        (machine.top / "usr/lib/jvm/java-1.17.0").symlink_to("java-17")
        eleven = machine.jdk("home/me/.sdkman/candidates/java/11.0.2-open", "11.0.2", release=False)
        (eleven.parent / "current").symlink_to(eleven.name)
        maven = machine.maven("usr/share/maven", "3.8.7")
        newer = machine.maven("opt/apache-maven-3.9.9", "3.9.9", named=True)
        gradle = machine.gradle("opt/gradle", "8.5")
        machine.env |= {"JAVA_HOME": str(seventeen), "M2_HOME": str(machine.home), "GRADLE_HOME": str(machine.top / "none")}
        toolchains = machine.toolchains()
        java = found(toolchains, "maven:3.8-eclipse-temurin-17")
        assert java.directories == (seventeen, maven)
        assert java.path == (f"{seventeen}/bin", f"{maven}/bin")
        assert java.env == {"JAVA_HOME": str(seventeen), "MAVEN_HOME": str(maven)}
        assert java.version == "17.0.15+3.8.7"
        assert found(toolchains, "maven:3-openjdk-11").directories == (eleven, newer)
        assert found(toolchains, "gradle:jdk8").directories == (eight, gradle)
        assert found(toolchains, "openjdk:8u392-jdk").directories == (eight,)
        assert found(toolchains, "eclipse-temurin").directories == (seventeen,), "JAVA_HOME's"
        with pytest.raises(
            ImageError, match=r"wants a JDK 21, which this machine lacks \(found: 8\.0\.392, 11\.0\.2, 17\.0\.15\)"
        ) as caught:
            toolchains.find("maven:3-eclipse-temurin-21", image="task")
        assert "toolchains" in caught.value.remedy
        with pytest.raises(ImageError, match="wants Maven 4"):
            toolchains.find("maven:4-eclipse-temurin-17", image="task")
        assert {"maven:3-eclipse-temurin-17", "maven:3-eclipse-temurin-8", "eclipse-temurin:11", "gradle:8-jdk17"} <= toolchains.bases()
        assert machine.home not in toolchains.directories

    def test_a_maven_that_cannot_be_read(self, machine):
        root = machine.maven("usr/share/maven", "3.8.7")
        (root / "lib/maven-core-3.x.jar").write_bytes(b"no archive")
        machine.jdk("usr/lib/jvm/java-17", "17.0.15")
        with pytest.raises(ImageError, match="wants Maven 3"):
            machine.toolchains().find("maven:3-eclipse-temurin-17", image="task")

    def test_compilers_beside_the_default_get_plain_names(self, machine):
        for suffix, version in (("", "12.2.0"), ("-12", "12.2.0"), ("-13", "13.1.0"), ("-11", "11.4.0")):
            for name in ("gcc", "g++", "cpp"):
                program(machine.top / f"usr/bin/{name}{suffix}", version)
        (machine.top / "usr/bin/g++-11").unlink()
        (machine.top / "usr/bin/gcc-ar-13").touch()
        toolchains = machine.toolchains()
        default = found(toolchains, "gcc:12")
        assert (default.path, default.links, default.directories) == ((), (), ())
        assert found(toolchains, "buildpack-deps:bookworm").version == "12.2.0"
        newer = found(toolchains, "gcc:13-bookworm")
        links = dict(newer.links)
        assert newer.path == ("/opt/gcc/bin",)
        assert links["/opt/gcc/bin/gcc"] == links["/opt/gcc/bin/cc"] == f"{machine.top}/usr/bin/gcc-13"
        assert links["/opt/gcc/bin/c++"] == f"{machine.top}/usr/bin/g++-13"
        assert newer.identity != default.identity
        with pytest.raises(ImageError, match="GCC 11"):
            toolchains.find("gcc:11", image="task")
        assert "gcc:13-bookworm" in toolchains.bases()

    def test_a_replaced_version_is_another_identity(self, machine):
        first = found((machine.go("usr/local/go", "1.22.3"), machine.toolchains())[1], "golang:1.22")
        (machine.top / "usr/local/go/VERSION").write_text("go1.22.4\n")
        assert found(machine.toolchains(), "golang:1.22").identity != first.identity

    def test_programs_that_hang_or_fail_are_none(self, machine, monkeypatch):
        monkeypatch.setattr("podgym.sandbox.local.toolchains.places._ASK_TIMEOUT_S", 0.2)
        root = machine.node("opt/node20", "20.0.0")
        (root / "bin/node").write_text("#!/bin/sh\nsleep 5\n")
        (machine.node("opt/node21", "21.0.0") / "bin/node").write_text("#!/bin/sh\nexit 1\n")
        (machine.node("opt/node22", "22.0.0") / "bin/node").chmod(0o644)
        with pytest.raises(ImageError, match=r"wants Node, which this machine lacks \(found: none\)"):
            machine.toolchains().find("node", image="task")

    def test_directories_that_hold_more_are_never_shown(self, machine):
        for where in ("home/me", "home/me/.local", "opt", "home"):
            machine.node(where, "20.0.0")
        machine.env["PATH"] = ":".join(f"{machine.top}/{where}/bin" for where in ("home/me", "home/me/.local", "opt", "home"))
        assert not [folder for folder in machine.toolchains().directories if folder.is_relative_to(machine.top)]

    def test_the_distribution(self, tmp_path):
        (tmp_path / "os-release").write_text('NAME="X"\nID=debian\nVERSION_ID="12"\n\n# a comment\nVERSION_CODENAME=\'bookworm\'\n')
        release = read_release(tmp_path / "os-release")
        assert (release["ID"], release["VERSION_ID"], release["VERSION_CODENAME"]) == ("debian", "12", "bookworm")
        assert read_release(tmp_path / "none") == {}


class TestParts:
    def test_programs_of_the_distribution_go_first_by_links(self):
        shell = installed_at(Path("/usr"), "node", "20.1.0", programs=("sh", "no-such-program"))
        assert shell.path == ("/opt/node/bin",)
        assert shell.links == (("/opt/node/bin/sh", "/usr/bin/sh"),)

    def test_the_first_goes_before_the_others(self):
        one = Toolchain("a", "1", "a 1", (Path("/a"),), ("/a/bin",), {"X": "a"})
        other = Toolchain("b", "2", "b 2", (Path("/b"),), ("/b/bin",), {"X": "b", "Y": "b"})
        both = combined([one, other])
        assert (both.env["X"], both.env["Y"], both.path) == ("a", "b", ("/a/bin", "/b/bin"))

    @pytest.mark.parametrize(
        ("path", "here"),
        [
            ("/opt/x/bin:/usr/local/go/bin:/usr/bin", "/opt/x/bin:/here/bin:/usr/local/go/bin:/usr/bin"),
            ("/usr/local/go/bin", "/here/bin:/usr/local/go/bin"),
            ("/here/bin:/usr/local/go/bin", "/here/bin:/usr/local/go/bin"),
            ("/usr/local/go/bin:/here/bin", "/here/bin:/usr/local/go/bin:/here/bin"),
            ("/usr/bin:/bin", "/usr/bin:/bin"),
            ("", ""),
        ],
    )
    def test_a_path_that_was_written_for_the_public_image(self, path, here):
        go = Toolchain("go", "1", "go 1", path=("/here/bin",), public=("/usr/local/go/bin",))
        assert go.on_path(path) == here
        assert Toolchain("python", "3.11", "x", path=("/here/bin",)).on_path(path) == path

    def test_version_managers_share_one_mount(self):
        folders = [Path(f"/root/.rustup/toolchains/{name}") for name in ("1.95.0", "stable")]
        folders += [
            Path("/root/.sdkman/candidates/java/17"),
            Path("/root/.nvm/versions/node/v20"),
            Path("/usr/lib/jvm/x"),
            Path("/data/go"),
        ]
        binds = Binds(folders, ("/usr", "/bin"))
        assert list(binds.mounts) == [
            Path("/root/.rustup/toolchains"),
            Path("/root/.sdkman/candidates/java"),
            Path("/root/.nvm/versions/node"),
            Path("/data/go"),
        ]
        assert binds.of([folders[1], folders[4], folders[5]]) == [("tc0/stable", str(folders[1])), ("tc3", "/data/go")]

    def test_a_toolchain_is_not_masked(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "exposed/go/src").mkdir(parents=True)
        config = LocalConfig(expose=("/usr", str(tmp_path)), hide=(str(tmp_path / "exposed"),), cache="/c", scratch="/s")
        assert masks(config, Binds([], config.expose)) == [str(tmp_path / "exposed")]
        binds = Binds([tmp_path / "exposed/go"], ("/usr",))
        assert masks(config, binds) == []


def spec(base: str, **recipe: Any) -> SandboxSpec:
    return SandboxSpec(image="task", recipe=ImageRecipe(base=base, workdir="/testbed", **recipe), workdir="/testbed")


async def output(sandbox: Any, script: str) -> str:
    result = await sandbox.run(script, timeout_s=100)
    assert result.exit_code == 0, result.stderr.text()
    return result.stdout.text().strip()


HERE = Toolchains({})
BUILDS = {
    "golang": "cat > a.go <<'END'\npackage main\nfunc main() { println(6 * 7) }\nEND\ngo run a.go 2>&1",
    "rust": "echo 'fn main() { println!(\"{}\", 6 * 7); }' > a.rs && rustc a.rs && ./a && cargo --version > /dev/null",
    "node": "node -p '6 * 7' && npm --version > /dev/null",
    "gcc": "echo '#include <iostream>\nint main() { std::cout << 6 * 7; }' > a.cc && g++ a.cc && ./a.out",
    "maven": (
        "echo 'class A { public static void main(String[] a) { System.out.println(6 * 7); } }' > A.java && \"$JAVA_HOME/bin/javac\" A.java"
        ' && java A && test "$(command -v java)" = "$JAVA_HOME/bin/java" && mvn --version | grep -q "$JAVA_HOME"'
    ),
}


@pytest.mark.parametrize("base", [pytest.param("golang", marks=pytest.mark.slow), "rust", "node", "gcc", "maven"])
async def test_a_sandbox_has_the_toolchain(local: Callable[..., LocalProvider], base: str) -> None:
    if not HERE.has(base):
        pytest.skip(f"no toolchain for {base} is installed here")
    sandbox = await local().create(spec(base))
    assert (await output(sandbox, BUILDS[base])).splitlines()[-1].endswith("42")


@pytest.mark.parametrize("isolation", ["require", "off"])
async def test_the_toolchain_is_the_one_that_was_asked_for(local, tmp_path, isolation):
    """Two versions outside of what is exposed, of which each sandbox sees its own and cannot change it."""
    root = tmp_path / "goes"
    for version in ("1.21.7", "1.22.1"):
        place = root / version
        program(place / "bin/go", f"go version go{version} linux/amd64")
        (place / "VERSION").write_text(f"go{version}\n")
    provider = local(isolation=isolation, toolchains={"go": [str(root / "1.21.7"), str(root / "1.22.1")]})
    for version in ("1.21", "1.22"):
        sandbox = await provider.create(spec(f"registry.example.org/library/golang:{version}-bookworm"))
        said = await output(sandbox, "go version; echo $GOTOOLCHAIN $GOROOT ${GOPATH-none}; ls $GOROOT/..")
        full = {"1.21": "1.21.7", "1.22": "1.22.1"}[version]
        if isolation == "require":
            assert said.splitlines() == [f"go version go{full} linux/amd64", f"local {root}/{full} /go", full]
            assert (await sandbox.run(f"echo x > {root}/{full}/x", timeout_s=10)).exit_code != 0
        else:
            assert said.splitlines()[:2] == [f"go version go{full} linux/amd64", f"local {root}/{full} none"]
        public = {"PATH": "/opt/tools:/usr/local/go/bin:/usr/bin:/bin"}
        by_command = await sandbox.run("go version", timeout_s=20, env=public)
        by_spec = await provider.create(spec(f"golang:{version}").model_copy(update={"env": public}))
        assert by_command.stdout.text().strip() == await output(by_spec, "go version") == f"go version go{full} linux/amd64"


async def test_a_toolchain_in_a_kept_directory_is_seen(local, tmp_path):
    root = tmp_path / "tools/go"
    program(root / "bin/go", "go itself")
    (root / "VERSION").write_text("go1.21.7\n")
    provider = local(cache=tmp_path / "cache", toolchains={"go": [str(root)]})
    recipe = {
        "writable": (str(tmp_path), "/opt"),
        "before": (Step(run=f"go version > {tmp_path}/said"),),
        "after": (Step(run=f"go version >> {tmp_path}/said"),),
    }
    sandbox = await provider.create(spec("golang:1.21", **recipe))
    assert await output(sandbox, f"cat {tmp_path}/said; go version; echo x > {tmp_path}/x") == "go itself\n" * 2 + "go itself"


async def test_commands_by_another_name_work(local):
    """Links into the distribution, with and without isolation."""
    if not HERE.has("node"):
        pytest.skip("no Node is installed here")
    for kind in ("require", "off"):
        sandbox = await local(isolation=kind).create(spec("node"))
        assert (await output(sandbox, 'node --version; test "$(node -p process.version)" = "v$NODE_VERSION"')).startswith("v")


async def test_layers_belong_to_their_toolchain(local, tmp_path):
    cache = tmp_path / "cache"
    root = tmp_path / "go"
    program(root / "bin/go", "go")
    recipe = {"before": (Step(run="echo built > built"),)}
    config = {"cache": cache, "toolchains": {"go": [str(root)]}}
    names = []
    for version in ("1.21.7", "1.21.8", "1.21.7"):
        (root / "VERSION").write_text(f"go{version}\n")
        wanted = spec("golang:1.21", **recipe)
        await local(**config).create(wanted)
        (layer,) = find_layers(wanted.recipe, None, LocalConfig(**config))
        names.append(layer.name)
    assert names[0] == names[2] != names[1]
    assert len(list(cache.glob("*/*/done"))) == 2
    assert find_layers(spec("golang:1.20", **recipe).recipe, None, LocalConfig(**config)) == []
    with pytest.raises(ImageError):
        find_layers(spec("swift:6", **recipe).recipe, None, LocalConfig(**config))


async def test_bases_are_those_that_can_be_made(local):
    provider = local()
    assert isinstance(provider, KnowsBases)
    bases = await provider.bases()
    assert f"python:{sys.version_info.major}.{sys.version_info.minor}-bookworm" in bases
    assert all(HERE.has(base) for base in bases)
    release = read_release()
    if release.get("ID") == "debian":
        assert f"debian:{release['VERSION_CODENAME']}" in bases


async def test_a_missing_version_says_what_is_here(local):
    with pytest.raises(ImageError, match=r"Image 'task' wants Go 9\.99, which this machine lacks \(found: ") as caught:
        await local().create(spec("golang:9.99", copies=(Copy(source="x", target="/testbed/x"),)))
    assert caught.value.step is None


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A directory that this process may not enter, whoever runs it."""
    folder = tmp_path / "closed"
    (folder / "bin").mkdir(parents=True)
    folder.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    folder.chmod(0o700)


def test_directories_that_may_not_be_entered_are_passed_over(closed, monkeypatch):
    for name in ("UV_PYTHON_INSTALL_DIR", "PYENV_ROOT"):
        monkeypatch.setenv(name, str(closed))
    monkeypatch.setenv("PATH", f"{closed}/bin:{closed}:/usr/bin:/bin")
    names = ("PATH", "RUSTUP_HOME", "NVM_DIR", "FNM_DIR", "GOROOT", "JAVA_HOME", "MAVEN_HOME", "GRADLE_HOME")
    env = dict.fromkeys(names, f"{closed}/bin")
    toolchains = Toolchains({}, places=Places(env, closed / "home", closed / "top", {"go": (f"{closed}/go",)}))
    assert set(toolchains.versions()) == {"python", "go", "rust", "node", "java", "maven", "gradle", "gcc"}


def test_links_that_go_round_are_passed_over(tmp_path, monkeypatch):
    for name in ("go", "rustc", "node", "javac", "mvn", "python3.99"):
        (tmp_path / name).symlink_to(name)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    toolchains = Toolchains({}, places=Places({"PATH": str(tmp_path)}, tmp_path, tmp_path))
    assert "3.99" not in toolchains.versions()["python"]


def test_compilers_are_asked_at_once(machine):
    for number in range(4):
        root = machine.rust(f"home/me/.rustup/toolchains/{number}", "1.70.0")
        (root / "bin/rustc").write_text(f"#!/bin/sh\nsleep 1\necho rustc 1.7{number}.0\n")
        node = machine.node(f"opt/node{number}", f"2{number}.0.0")
        (node / "bin/node").write_text(f"#!/bin/sh\nsleep 1\necho v2{number}.0.0\n")
    began = time.monotonic()
    versions = machine.toolchains().versions()
    assert time.monotonic() - began < 6, "8 s one after another"
    assert versions["rust"] == ("1.70.0", "1.71.0", "1.72.0", "1.73.0")
    assert versions["node"] == ("20.0.0", "21.0.0", "22.0.0", "23.0.0")

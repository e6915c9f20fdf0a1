"""On which network images are built."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from podgym.sandbox import ImageError, ImageRecipe, SandboxSpec, Step, TransportError

pytest.importorskip("docker", reason="the Docker SDK is not installed (extra [docker])")

from podgym.sandbox.docker import DockerConfig
from podgym.sandbox.docker.network import PROBE, BuildNetwork, targets_in_args, targets_in_log

BASE = "debian:bookworm"
UNREACHED = ImageError("Step 1 of the recipe failed", step=0, log="fetching\ncurl: (6) Could not resolve host: pypi.example.org\n")
WRONG = ImageError("Step 1 of the recipe failed", step=0, log="error: unknown option\n")


class FakeEngine:
    """Answers for what containers would reach, and remembers what was asked."""

    def __init__(self, reaching: dict[str, int | Exception], *, present: bool = True) -> None:
        self.reaching, self.present = reaching, present
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        await asyncio.sleep(0)
        return function(*arguments)

    def has_image(self, name: str) -> bool:
        return self.present

    def try_out(self, image: str, script: str, arguments: tuple[str, ...], network: str, timeout_s: float) -> int:
        assert (image, script) == (BASE, PROBE)
        self.asked.append((network, arguments))
        code = self.reaching[network]
        if isinstance(code, Exception):
            raise code
        return code


def opened(engine: FakeEngine, **options: Any) -> BuildNetwork:
    return BuildNetwork(engine, DockerConfig(**options))


class TestDeciding:
    @pytest.mark.parametrize(
        ("reaching", "network", "asked"),
        [
            ({"default": 0}, None, ["default"]),
            ({"default": 1, "host": 0}, "host", ["default", "host"]),
            ({"default": -1, "host": 0}, "host", ["default", "host"]),
            ({"default": 1, "host": 1}, None, ["default", "host"]),
            ({"default": TransportError("refused")}, None, ["default"]),
            ({"default": 1, "host": TransportError("no host network here")}, None, ["default", "host"]),
        ],
    )
    async def test_it_is_tried_once_before_the_first_build(self, reaching, network, asked):
        engine = FakeEngine(reaching)
        networks = opened(engine)
        assert await asyncio.gather(*(networks.before(BASE) for _ in range(5))) == [network] * 5
        assert await networks.after(network, BASE, UNREACHED) == network
        assert [each for each, _ in engine.asked] == asked

    @pytest.mark.parametrize("name", ["host", "bridge", "mine"])
    async def test_one_that_is_configured_is_not_tried(self, name):
        engine = FakeEngine({})
        networks = opened(engine, build_network=name)
        assert await networks.before(BASE) == name
        assert await networks.after(name, BASE, UNREACHED) == name
        assert not engine.asked

    async def test_a_base_that_is_not_here_yet_is_tried_from_after_a_failure(self):
        engine = FakeEngine({"default": 1, "host": 0}, present=False)
        networks = opened(engine)
        assert await networks.before(BASE) is None
        engine.present = True
        assert await networks.after(None, BASE, WRONG) is None
        assert not engine.asked, "a failure that has nothing to do with networks"
        assert await networks.after(None, BASE, UNREACHED) == "host"
        assert engine.asked == [("default", ("pypi.example.org:443",)), ("host", ("pypi.example.org:443",))]
        assert await networks.after(None, BASE, UNREACHED) == "host", "another build that began before"
        assert await networks.after("host", BASE, UNREACHED) == "host"
        assert len(engine.asked) == 2

    async def test_an_image_that_names_no_sources_is_tried_with_what_the_log_names(self):
        engine = FakeEngine({"default": 3, "host": 0})
        networks = opened(engine)
        assert await networks.before(BASE) is None
        engine.reaching = {"default": 1, "host": 0}
        assert await networks.after(None, BASE, UNREACHED) == "host"
        assert [arguments for _, arguments in engine.asked] == [(), ("pypi.example.org:443",), ("pypi.example.org:443",)]

    async def test_without_a_network_anywhere_a_failure_is_one(self):
        engine = FakeEngine({"default": 1, "host": 1}, present=False)
        networks = opened(engine)
        assert await networks.before(BASE) is None
        assert await networks.after(None, BASE, UNREACHED) is None, "no image to try it from"
        engine.present = True
        for _ in range(3):
            assert await networks.after(None, BASE, UNREACHED) is None
        assert len(engine.asked) == 2


class TestTargets:
    @pytest.mark.parametrize(
        ("args", "targets"),
        [
            ({}, ()),
            ({"HTTPS_PROXY": "http://127.0.0.1:3128", "PIP_INDEX_URL": "https://x.example.org/simple"}, ("127.0.0.1:3128",)),
            ({"http_proxy": "proxy.example.org:8080", "NO_PROXY": "localhost"}, ("proxy.example.org:8080",)),
            (
                {"PIP_INDEX_URL": "https://u:p@x.example.org/simple", "GOPROXY": "http://y.example.org"},
                ("x.example.org:443", "y.example.org:80"),
            ),
            ({"GOFLAGS": "-mod=mod", "BAD": "http://[", "WORSE": "http://a b:99999/", "PORT": "http://a:b"}, ()),
        ],
    )
    def test_in_arguments(self, args, targets):
        assert targets_in_args(args) == targets

    @pytest.mark.parametrize(
        ("line", "target"),
        [
            ("curl: (6) Could not resolve host: index.example.org", "index.example.org:443"),
            (
                "W: Failed to fetch http://deb.example.org/debian/dists/x/InRelease  Temporary failure resolving 'deb.example.org'",
                "deb.example.org:80",
            ),
            ("npm error request to https://npm.example.org/x failed, reason: getaddrinfo EAI_AGAIN npm.example.org", "npm.example.org:443"),
            (
                'go: example.org/x: Get "https://proxy.example.org/x": dial tcp: lookup proxy.example.org: no such host',
                "proxy.example.org:443",
            ),
            ("java.net.UnknownHostException: maven.example.org", "maven.example.org:443"),
            ("HTTPSConnectionPool(host='pypi.example.org', port=443): Failed to resolve 'pypi.example.org'", "pypi.example.org:443"),
            ("Failed to connect to 10.1.2.3 port 3128: Connection refused, http://10.1.2.3:3128", "10.1.2.3:3128"),
            ("wget: unable to resolve: Temporary failure in name resolution at https://Git.Example.ORG:8443/x", "git.example.org:8443"),
        ],
    )
    def test_in_logs(self, line, target):
        assert target in targets_in_log(f"Get http://elsewhere.example.com\n{line}\nmake: error\n")
        assert not any("elsewhere" in each for each in targets_in_log(f"Get http://elsewhere.example.com\n{line}\n"))

    def test_a_log_that_is_long_or_strange_is_read_in_bounded_time(self):
        assert len(targets_in_log("\n".join(f"could not resolve a{n}.example.org" for n in range(100_000)))) == 6
        assert targets_in_log("could not resolve " + "a." * 1_000_000 + "; $(rm -rf /) 'x") is not None
        for target in targets_in_log("could not resolve $(id).example.org `x`.example.org -o.example.org"):
            assert "$" not in target and "`" not in target and not target.startswith("-")


class TestProbe:
    """The script itself, in a sandbox of this machine."""

    async def run(self, local: Any, *targets: str, prepare: str = "") -> int:
        sandbox = await local().create(SandboxSpec(image="host", network="full"))
        await sandbox.write("/probe", PROBE.encode())
        result = await sandbox.run(f"{prepare}\nsh /probe {' '.join(targets)}", timeout_s=30)
        return result.exit_code

    async def test_one_that_listens_is_enough(self, local):
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            assert await self.run(local, "127.0.0.1:1", f"127.0.0.1:{port}") == 0
            assert await self.run(local, "127.0.0.1:1") == 1
            bare = "mkdir /b; for p in sh sleep; do ln -s /usr/bin/$p /b; done; export PATH=/b"
            assert await self.run(local, f"127.0.0.1:{port}", prepare=bare) == 1, "nothing to try it with"

    async def test_without_targets_it_tries_what_the_image_names(self, local):
        hidden = "mkdir /b; printf '#!/bin/sh\\nexit 1\\n' > /b/cat; chmod +x /b/cat; export PATH=/b:$PATH"
        assert await self.run(local, prepare=hidden) == 3
        sources = (
            'mkdir /b; printf \'#!/bin/sh\\nprintf "%%s\\\\n" "# http://no.example.org/" "URIs: http://127.0.0.1/debian" '
            '"deb [signed-by=/x] https://127.0.0.1/ubuntu x"\' > /b/cat; printf \'#!/bin/sh\\necho "$3 $4" >> /tried\' > /b/bash; '
            "chmod +x /b/cat /b/bash; export PATH=/b:$PATH; trap 'sort /tried > /dev/stderr; ' EXIT"
        )
        sandbox = await local().create(SandboxSpec(image="host"))
        await sandbox.write("/probe", PROBE.encode())
        result = await sandbox.run(f"{sources}\nsh /probe", timeout_s=30)
        assert result.exit_code == 0
        assert result.stderr.text() == "127.0.0.1 443\n127.0.0.1 80\n"


@pytest.mark.docker
class TestOnDocker:
    @pytest.mark.slow
    async def test_a_build_has_whichever_network_works(self, docker_kit):
        """Where containers of the default network reach nothing and the host does, steps run on the host's."""
        kit = docker_kit(build_network=None)
        try:
            engine = kit.provider._engine
            if not await engine.call(engine.has_image, BASE):
                pytest.skip(f"{BASE} is not here")
            codes = {network: await engine.call(engine.try_out, BASE, PROBE, (), network, 30.0) for network in ("default", "host", "none")}
            expected = "host" if codes["default"] and not codes["host"] else None
            networks = kit.provider._images._network
            assert await networks.before(BASE) == expected
            assert codes["none"] == 1
            if codes["default"] and codes["host"]:
                pytest.skip("this machine reaches no package sources")
            recipe = ImageRecipe(base=BASE, after=(Step(run="apt-get update -qq && rm -rf /var/lib/apt/lists/*", timeout_s=90),))
            sandbox = await kit.provider.create(SandboxSpec(image="probe", recipe=recipe))
            await sandbox.close()
            engine._api.remove_image(f"podgym/{recipe.digest(None)}", force=True)
        finally:
            await kit.provider.close()

    async def test_a_proxy_that_only_the_host_reaches(self, docker_kit):
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        kit = docker_kit(build_network=None, build_args={"HTTPS_PROXY": f"http://127.0.0.1:{port}"})
        try:
            async with server:
                engine = kit.provider._engine
                if not await engine.call(engine.has_image, BASE):
                    pytest.skip(f"{BASE} is not here")
                if await engine.call(engine.try_out, BASE, PROBE, (f"127.0.0.1:{port}",), "host", 30.0):
                    pytest.skip("the engine is on another machine")
                reach = Step(run=f"bash -c 'exec 3<> /dev/tcp/127.0.0.1/{port}' && date +%s%N > /reached", timeout_s=30)
                spec = SandboxSpec(image="by recipe", recipe=ImageRecipe(base=BASE, after=(reach,)))
                sandbox = await kit.provider.create(spec)
                assert (await sandbox.run("cat /reached; echo $HTTPS_PROXY", timeout_s=10)).stdout.text().strip().isdigit()
                await sandbox.close()
                engine._api.remove_image(f"podgym/{spec.recipe.digest(None)}", force=True)
        finally:
            await kit.provider.close()

    async def test_trying_out_leaves_nothing_and_ends_in_time(self, docker_kit):
        kit = docker_kit()
        try:
            engine = kit.provider._engine
            assert await engine.call(engine.try_out, BASE, 'exit "$1"', ("7",), "none", 20.0) == 7
            assert await engine.call(engine.try_out, BASE, "sleep 60", (), "none", 1.0) == -1
            left = await engine.call(lambda: engine._api.containers(all=True, filters={"ancestor": BASE}))
            assert not [each for each in left if "sleep 60" in each["Command"] or 'exit "$1"' in each["Command"]]
        finally:
            await kit.provider.close()

"""The Docker engine: its calls, each bounded and with typed errors.

Most go through the SDK, which is synchronous, on threads of a pool of their own. Streams (commands, builds) have a
connection of their own each, without a thread.
"""

from __future__ import annotations

import asyncio
import io
import json
import math
import socket
import tarfile
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import docker
import requests
from docker import auth
from docker.constants import MINIMUM_DOCKER_API_VERSION
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.utils import kwargs_from_env, parse_host

from podgym.sandbox.contract import SandboxSpec
from podgym.sandbox.docker.config import DockerConfig
from podgym.sandbox.docker.connection import Address, Connection, Refused
from podgym.sandbox.docker.keeper import END_SIGNAL, KEEPER, KILL_FILE, KILL_SIGNAL, NO_SLEEP
from podgym.sandbox.errors import ImageError, LostReason, QuotaError, SandboxError, SandboxLost, TransportError
from podgym.sandbox.owners import left_behind, own_owner

__all__ = ["LABEL", "Engine", "Missing", "engine_error"]

LABEL = "podgym.run"
OWNER = "podgym.owner"
T = TypeVar("T")

_CPU_PERIOD_US = 100_000
_SCARCE = ("no space left on device", "cannot allocate memory", "resource temporarily unavailable", "too many open files")


class Missing(Exception):
    """The engine does not have the image."""


class Engine:
    """One connection pool to one engine. Raises `TransportError` where none answers."""

    def __init__(self, config: DockerConfig) -> None:
        self._config = config
        self._attaching = asyncio.Semaphore(config.concurrency)
        self._closed = False
        options: dict[str, Any] = {**kwargs_from_env(), "max_pool_size": config.concurrency}
        if config.base_url:
            options["base_url"] = config.base_url
        try:
            self._address = _address(options)
            version = _version(self._address, {**options, "timeout": config.connect_timeout_s})
        except TransportError:
            raise
        except (DockerException, requests.RequestException, OSError, ValueError) as error:
            where = options.get("base_url") or "the default address"
            raise TransportError(
                f"No Docker engine answers at {where}: {error}", remedy="Start dockerd, or set DOCKER_HOST or `base_url`."
            ) from error
        self._pool = ThreadPoolExecutor(config.concurrency, thread_name_prefix="docker")
        self._api: Any = docker.APIClient(version=version, timeout=math.ceil(config.call_timeout_s), **options)
        self._prefix = f"/v{version}"

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run one of the methods below on a thread; it is not interrupted by cancellation, only no longer waited for."""
        if self._closed:
            raise TransportError("The Docker provider is closed.", remedy="Create a new provider.")
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: self._typed(function, *arguments))

    def has_image(self, name: str) -> bool:
        """Whether the engine holds the image."""
        try:
            self._api.inspect_image(name)
        except ImageNotFound:
            return False
        except APIError as error:
            if error.status_code == 400:
                raise ImageError(f"{name!r} is not the name of an image: {error.explanation}", remedy="Correct it.") from error
            raise
        return True

    def pull(self, name: str) -> None:
        """Fetch an image. Raises `ImageError`."""
        repository, tag = docker.utils.parse_repository_tag(name)
        try:
            for message in self._api.pull(repository, tag=tag or "latest", stream=True, decode=True):
                if "error" in message:
                    raise _cannot_pull(name, message["error"])
        except APIError as error:
            raise _cannot_pull(name, error.explanation) from error

    def tags(self) -> frozenset[str]:
        """Names of all images that the engine holds under a name."""
        return frozenset(tag for image in self._api.images() for tag in image.get("RepoTags") or () if tag != "<none>:<none>")

    def try_out(self, image: str, script: str, arguments: Sequence[str], network: str, timeout_s: float) -> int:
        """Exit code of a short script in a container of its own; -1 where it did not end in time."""
        made = self._api.create_container(
            image,
            entrypoint=["/bin/sh", "-c", script, "podgym", *arguments],
            command=[],
            user="0",
            labels={LABEL: "", OWNER: own_owner()},
            healthcheck={"test": ["NONE"]},
            host_config=self._api.create_host_config(network_mode=network, log_config={"Type": "none", "Config": {}}),
            use_config_proxy=False,
        )
        try:
            self._api.start(made["Id"])
            return int(self._api.wait(made["Id"], timeout=timeout_s)["StatusCode"])
        except (requests.Timeout, requests.ConnectionError):  # the SDK has both for a wait that takes too long
            return -1
        finally:
            self.remove(made["Id"])

    def credentials(self) -> dict[str, str]:
        """The header with which builds fetch from private registries."""
        config: Any = auth.load_config()
        known = config.get_all_credentials()
        return {"X-Registry-Config": auth.encode_header(known).decode()} if known else {}

    async def build(
        self, context: BinaryIO, size: int, *, tag: str, file: str, headers: Mapping[str, str], network: str | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Build from a tar; yields the engine's messages. Ends when it is no longer listened to. Raises `TransportError`."""
        options: dict[str, Any] = {"t": tag, "dockerfile": file, "rm": 1, "forcerm": 1, "buildargs": json.dumps(self._config.build_args)}
        if network:
            options["networkmode"] = network
        connection: Connection | None = None
        try:
            connection = await Connection.open(self._address)
            path = f"{self._prefix}/build?{urlencode(options)}"
            async for line in connection.upload(path, {"Content-Type": "application/x-tar", **headers}, context, size):
                if line.strip():
                    yield json.loads(line)
        except Refused as error:
            raise engine_error(error.message) from error
        except (OSError, EOFError, ValueError) as error:
            raise engine_error(str(error)) from error
        finally:
            if connection is not None:
                connection.close()

    def create(self, name: str, spec: SandboxSpec, image: str) -> str:
        """Create and start a container; returns its id. Raises `Missing`, `ImageError`."""
        limits = spec.limits
        host = self._api.create_host_config(
            network_mode="none" if spec.network == "none" else self._config.network,
            mem_limit=limits.memory_bytes,
            memswap_limit=limits.memory_bytes,
            # A quota and not a count of processors, because the engine refuses a count that the machine does not have.
            cpu_period=_CPU_PERIOD_US,
            cpu_quota=max(1000, round(limits.cpus * _CPU_PERIOD_US)),
            pids_limit=limits.processes,
            ulimits=[docker.types.Ulimit(name="fsize", soft=limits.disk_bytes, hard=limits.disk_bytes)],
            cap_drop=["ALL"],
            cap_add=list(self._config.capabilities),
            security_opt=["no-new-privileges"],
            runtime=self._config.runtime,
            log_config={"Type": "none", "Config": {}},
        )
        try:
            made = self._api.create_container(
                image,
                entrypoint=["/bin/sh", "-c", KEEPER, "podgym", str(math.ceil(spec.lifetime_s))],
                command=[],
                name=name,
                working_dir=spec.workdir,
                environment=dict(spec.env),
                user="0",
                labels={LABEL: "", OWNER: own_owner(), **{f"podgym.{key}": value for key, value in spec.labels.items()}},
                healthcheck={"test": ["NONE"]},
                host_config=host,
                use_config_proxy=False,
            )
        except ImageNotFound as error:
            raise Missing(str(error.explanation)) from error
        container = str(made["Id"])
        try:
            self._api.start(container)
        except (APIError, requests.RequestException) as error:
            self.remove(container)
            said = str(getattr(error, "explanation", error))
            if '"/bin/sh"' in said:
                raise ImageError(f"Image {image!r} has no POSIX shell: {said}", remedy="Use one with /bin/sh.") from error
            raise
        return container

    async def attach(self, container: str, arguments: list[str], env: Mapping[str, str], user: str) -> tuple[str, Connection]:
        """Start an exec; returns its id and its connection, which the caller closes.

        Raises `SandboxLost` where the engine says that the container is gone, `TransportError`.
        """
        if self._closed:
            raise TransportError("The Docker provider is closed.", remedy="Create a new provider.")
        request = {
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "Cmd": arguments,
            "Env": [f"{name}={value}" for name, value in env.items()],
            "User": user,
            "WorkingDir": "/",
        }
        connection: Connection | None = None
        try:
            async with self._attaching, asyncio.timeout(self._config.call_timeout_s):
                connection = await Connection.open(self._address)
                made = await connection.post(f"{self._prefix}/containers/{quote(container)}/exec", request)
                await connection.hijack(f"{self._prefix}/exec/{made['Id']}/start", {"Detach": False, "Tty": False})
                attached, connection = connection, None
        except Refused as error:
            if error.status in (404, 409):
                raise SandboxLost(f"Container {container[:12]} is gone: {error.message}", reason="killed") from error
            raise engine_error(error.message) from error
        except TimeoutError as error:
            raise engine_error(f"no answer within {self._config.call_timeout_s:g} s") from error
        except (OSError, EOFError, ValueError) as error:
            raise engine_error(str(error)) from error
        finally:
            if connection is not None:
                connection.close()
        return str(made["Id"]), attached

    def exit_code(self, exec_id: str) -> int | None:
        """Exit code of an ended exec, None while it runs."""
        state = self._api.exec_inspect(exec_id)
        return None if state["Running"] else state["ExitCode"]

    def death(self, container: str) -> LostReason | None:
        """Why the container no longer runs; None while it does. Raises `ImageError` where it never could."""
        try:
            state = self._api.inspect_container(container)["State"]
        except NotFound:
            return "killed"
        if state["Running"]:
            return None
        if state["ExitCode"] == NO_SLEEP:
            raise ImageError("The image has no `sleep`.", remedy="Use one with coreutils or busybox.")
        if state["ExitCode"] == 0:
            return "evicted"
        return "oom" if state.get("OOMKilled") else "killed"

    def kill_group(self, container: str, group: int) -> None:
        """Have the container's first process kill a process group: needs no new process in it."""
        text = f"{group}\n".encode()
        entry = tarfile.TarInfo(KILL_FILE)
        entry.size = len(text)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.addfile(entry, io.BytesIO(text))
        self._api.put_archive(container, "/", archive.getvalue())
        self._api.kill(container, signal=KILL_SIGNAL)

    def end_processes(self, container: str) -> None:
        """Have the container's first process kill all others."""
        self._api.kill(container, signal=END_SIGNAL)

    def processes(self, container: str) -> dict[int, str]:
        """Processes of a container but its first one, as the engine's machine numbers and names them."""
        first = self._api.inspect_container(container)["State"]["Pid"]
        listed = self._api.top(container, "-eo pid,stat,comm")["Processes"] or []
        return {int(row[0]): row[2] for row in listed if int(row[0]) != first and not row[1].startswith("Z")}

    def remove(self, container: str) -> bool:
        """Kill and delete; False where it is gone already."""
        try:
            self._api.remove_container(container, force=True, v=True)
        except NotFound:
            return False
        except APIError as error:
            if error.status_code != 409:  # another removal is under way
                raise
        return True

    def labelled(self, run: str) -> list[str]:
        """Ids of all containers of a run, running or not."""
        return [each["Id"] for each in self._api.containers(all=True, filters={"label": f"{LABEL}={run}"})]

    def orphans(self) -> list[str]:
        """Ids of all containers whose owner was a process of this host that is no more."""
        owned = self._api.containers(all=True, filters={"label": OWNER})
        return [each["Id"] for each in owned if left_behind(str((each.get("Labels") or {}).get(OWNER, "")))]

    async def close(self) -> None:
        """Release connections and threads, once their calls have ended; idempotent."""
        if self._closed:
            return
        self._closed = True
        # A thread of the pool cannot wait for the pool.
        await asyncio.to_thread(self._pool.shutdown)
        self._api.close()

    def _typed(self, function: Callable[..., T], *arguments: Any) -> T:
        try:
            return function(*arguments)
        except NotFound as error:
            raise SandboxLost(f"The engine no longer knows the container: {error.explanation}", reason="killed") from error
        except requests.Timeout as error:
            raise engine_error(f"no answer within {self._config.call_timeout_s:g} s") from error
        except (DockerException, requests.RequestException) as error:
            raise engine_error(str(getattr(error, "explanation", None) or error)) from error


def engine_error(said: str) -> SandboxError:
    """The error for what the engine said instead of doing what it was asked."""
    if any(scarce in said.lower() for scarce in _SCARCE):
        return QuotaError(
            f"The Docker engine has run out of something: {said}",
            remedy="Free disk space or memory, run fewer sandboxes at once, or raise `limits` of the task.",
        )
    return TransportError(f"The Docker engine refused or did not answer: {said}", remedy="See the engine's log.")


def _version(address: Address, options: Mapping[str, Any]) -> str:
    """The newest version of the API that the engine speaks.

    The SDK leaves sockets open where it cannot connect or where its first question fails, so both are done apart.
    """
    with socket.socket(socket.AF_UNIX) if address.path else socket.socket() as knocking:
        knocking.settimeout(options["timeout"])
        knocking.connect(address.path or (address.host, address.port))
    probe: Any = docker.APIClient(version=MINIMUM_DOCKER_API_VERSION, **options)
    try:
        return str(probe.version(api_version=False)["ApiVersion"])
    finally:
        probe.close()


def _cannot_pull(name: str, said: object) -> ImageError:
    return ImageError(f"Image {name!r} is not here and cannot be pulled: {said}", remedy="Check its name, or build it.")


def _address(options: Mapping[str, Any]) -> Address:
    """Where streams connect. Raises `TransportError` for what they cannot use."""
    url = parse_host(options.get("base_url"), tls=bool(options.get("tls")))
    parts = urlsplit(url)
    if parts.scheme == "http+unix":
        return Address(path=parts.path)
    if parts.scheme in ("http", "tcp") and not options.get("tls"):
        return Address(host=parts.hostname or "", port=parts.port or 2375)
    raise TransportError(
        f"The Docker engine at {url} is reached through TLS or SSH, over which a command's input cannot be ended.",
        remedy='Forward its socket (ssh -nNT -L /tmp/docker.sock:/run/docker.sock HOST) and set base_url = "unix:///tmp/docker.sock".',
    )

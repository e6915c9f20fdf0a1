"""The server: paths to kinds, verbs to the store, and faults before everything."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import json
from typing import Any, Self

from aiohttp import web

from podgym_k8s_kit.certificate import certificate
from podgym_k8s_kit.execs import Execs
from podgym_k8s_kit.faults import Fault, Faults
from podgym_k8s_kit.kinds import KINDS, Kind, group_versions, resources
from podgym_k8s_kit.patches import patched
from podgym_k8s_kit.pods import Kubelet
from podgym_k8s_kit.selectors import selects
from podgym_k8s_kit.store import Item, Refused, Store

__all__ = ["FakeApi"]

_BY_PATH = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}


class FakeApi:
    """`async with FakeApi() as api`: `api.url`, `api.kubeconfig()`; everything about it may be changed while it runs."""

    def __init__(self, *, token: str = "secret") -> None:
        self.tokens = {token}
        self.store = Store()
        self.faults = Faults()
        self.kubelet = Kubelet(self.store)
        self.execs = Execs()
        self.quota: dict[str, int] = {}
        """Most pods of a namespace."""
        self.denied: set[tuple[str, str]] = set()
        """Verb and resource that nobody is allowed."""
        self.requests: list[tuple[str, str]] = []
        self.watching = 0
        self.bookmark_s = 0.5
        self._cut = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        namespaces, nodes = _BY_PATH["", "v1", "namespaces"], _BY_PATH["", "v1", "nodes"]
        for name in ("default", "kube-system"):
            self.store.create(namespaces, "", {"metadata": {"name": name}, "status": {"phase": "Active"}})
        ready = {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"cpu": "64", "memory": "256Gi", "pods": "20000"}}
        self.store.create(nodes, "", {"metadata": {"name": self.kubelet.node}, "status": ready})
        app = web.Application(client_max_size=8 << 20)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kubelet.close()
        self.cut_watches()
        await self.execs.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def start(self) -> None:
        """Listen, again on the port of before."""
        assert self._runner is not None
        port = int(self.url.rpartition(":")[2]) if self.url else 0
        site = web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True, ssl_context=certificate()[0])
        await site.start()
        if not self.url:
            self.url = f"https://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Like a killed server: nobody listens, and every connection is gone."""
        assert self._runner is not None
        self.cut_watches()
        await self.execs.cut()
        for site in list(self._runner.sites):
            await site.stop()
        if self._runner.server is not None:
            for connection in list(self._runner.server.connections):
                if connection.transport is not None:
                    connection.transport.abort()

    def kubeconfig(self, token: str | None = None, namespace: str = "default") -> dict[str, Any]:
        """For any client."""
        trusted = base64.b64encode(certificate()[1].encode()).decode()
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": self.url, "certificate-authority-data": trusted}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake", "namespace": namespace}}],
            "users": [{"name": "fake", "user": {"token": token or sorted(self.tokens)[0]}}],
        }

    def cut_watches(self) -> None:
        """End every watch."""
        self._cut.set()
        self._cut = asyncio.Event()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs))
        fault = self.faults.take(request.method, request.path_qs)
        if fault is not None:
            if fault.hang_s:
                await asyncio.sleep(fault.hang_s)
            if not fault.after:
                return self._failed(request, fault)
        try:
            if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
                raise Refused(401, "Unauthorized", "Unauthorized")
            answer = await self._routed(request)
        except Refused as refused:
            answer = _status(refused)
        except (ValueError, KeyError, TypeError) as error:
            answer = _status(Refused(400, "BadRequest", f"the request could not be understood: {error!r}"))
        return answer if fault is None else self._failed(request, fault)

    def _failed(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.drop and request.transport is not None:
            request.transport.abort()
        if fault.body is not None or fault.status < 400:
            return web.Response(text=fault.body or "{}", status=fault.status)
        return _status(Refused(fault.status, fault.reason, fault.message, retry_after_s=fault.retry_after_s))

    async def _routed(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        match parts:
            case ["version"]:
                return web.json_response({"major": "1", "minor": "34", "gitVersion": "v1.34.4"})
            case ["healthz" | "livez" | "readyz"]:
                return web.Response(text="ok")
            case ["api"]:
                return web.json_response({"kind": "APIVersions", "versions": ["v1"]})
            case ["apis"]:
                return web.json_response(
                    {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*one) for one in group_versions().items()]}
                )
            case ["api", "v1"]:
                return web.json_response({"kind": "APIResourceList", "groupVersion": "v1", "resources": resources("")})
            case ["apis", group, version] if group_versions().get(group) == version:
                named = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}"}
                return web.json_response({**named, "resources": resources(group)})
            case ["api", "v1", *rest]:
                return await self._resource(request, "", "v1", rest)
            case ["apis", group, version, *rest]:
                return await self._resource(request, group, version, rest)
        raise Refused(404, "NotFound", "the server could not find the requested resource")

    async def _resource(self, request: web.Request, group: str, version: str, rest: list[str]) -> web.StreamResponse:
        namespace: str | None = None
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] != "status":
            namespace, rest = rest[1], rest[2:]
        kind = _BY_PATH.get((group, version, rest[0]))
        if kind is None:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        name, sub = [*rest[1:], "", ""][:2]
        verb = self._verb(request, name)
        resource = f"{kind.plural}/{sub}" if sub else kind.plural
        if (verb, resource) in self.denied:
            raise Refused(
                403, "Forbidden", f'{resource} is forbidden: User "fake" cannot {verb} resource "{resource}" in API group "{group}"'
            )
        if namespace is not None and ("namespaces", "", namespace) not in self.store.items:
            raise Refused(404, "NotFound", f'namespaces "{namespace}" not found')
        where = namespace or ""
        if sub == "exec":
            return await self._exec(request, kind, where, name)
        if verb == "watch":
            return await self._watch(request, kind, namespace)
        body = await request.json() if request.can_read_body else {}
        answer = self._act(request, verb, kind, name, namespace=namespace, body=body)
        return web.json_response(answer, status=201 if verb == "create" else 200)

    def _verb(self, request: web.Request, name: str) -> str:
        if request.method == "GET":
            if request.query.get("watch") in ("1", "true"):
                return "watch"
            return "get" if name else "list"
        if request.method == "DELETE":
            return "delete" if name else "deletecollection"
        return {"POST": "create", "PUT": "update", "PATCH": "patch"}[request.method]

    def _act(self, request: web.Request, verb: str, kind: Kind, name: str, *, namespace: str | None, body: Item) -> dict[str, Any]:
        store, where = self.store, namespace or ""
        if verb == "list":
            return self._list(kind, namespace, request)
        if verb == "get":
            return store.get(kind, where, name)
        if verb == "create":
            if kind.name == "SelfSubjectAccessReview":
                asked = body["spec"]["resourceAttributes"]
                resource = "/".join(filter(None, (asked.get("resource"), asked.get("subresource"))))
                return {**body, "status": {"allowed": (asked.get("verb"), resource) not in self.denied}}
            if kind.name == "Pod":
                self._admit(where, body)
                body = {**body, "status": {"phase": "Pending"}}
            return store.create(kind, where, body)
        if verb == "update":
            return store.replace(kind, where, name, copy.deepcopy(body))
        if verb == "patch":
            return store.replace(kind, where, name, patched(store.get(kind, where, name), body, request.content_type))
        if verb == "delete":
            uid = (body.get("preconditions") or {}).get("uid", "")
            return store.remove(kind, where, name, uid=uid)
        chosen = selects(request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))
        for item in [item for item in store.listed(kind, namespace) if chosen(item)]:
            store.drop((kind.plural, item["metadata"].get("namespace", ""), item["metadata"]["name"]))
        return {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    def _admit(self, namespace: str, body: Item) -> None:
        most = self.quota.get(namespace)
        if most is not None and len(self.store.listed(_BY_PATH["", "v1", "pods"], namespace)) >= most:
            name = body.get("metadata", {}).get("name")
            said = f'pods "{name}" is forbidden: exceeded quota: few, requested: pods=1, used: pods={most}, limited: pods={most}'
            raise Refused(403, "Forbidden", said)
        if not body.get("spec", {}).get("containers"):
            raise Refused(422, "Invalid", "Pod is invalid: spec.containers: Required value")

    def _list(self, kind: Kind, namespace: str | None, request: web.Request) -> dict[str, Any]:
        chosen = selects(request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))
        items = [item for item in self.store.listed(kind, namespace) if chosen(item)]
        version, start = self.store.version, 0
        if token := request.query.get("continue"):
            version, start = json.loads(base64.urlsafe_b64decode(token))
            if version < self.store.compacted:
                raise Refused(410, "Expired", "The provided continue parameter is too old")
        limit = int(request.query.get("limit", 0)) or len(items)
        meta: dict[str, Any] = {"resourceVersion": str(version)}
        if start + limit < len(items):
            meta["continue"] = base64.urlsafe_b64encode(json.dumps([version, start + limit]).encode()).decode()
            meta["remainingItemCount"] = len(items) - start - limit
        return {"kind": f"{kind.name}List", "apiVersion": kind.api_version, "metadata": meta, "items": items[start : start + limit]}

    async def _watch(self, request: web.Request, kind: Kind, namespace: str | None) -> web.StreamResponse:
        chosen = selects(request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))
        stated = request.query.get("resourceVersion", "")
        version = int(stated) if stated not in ("", "0") else self.store.version
        answer = web.StreamResponse(headers={"content-type": "application/json"})
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        cut = self._cut
        self.watching += 1

        async def tell(event: str, item: Item) -> None:
            await answer.write(json.dumps({"type": event, "object": item}).encode() + b"\n")

        async def follow() -> None:
            if stated in ("", "0") or request.query.get("sendInitialEvents") == "true":
                for item in self.store.listed(kind, namespace):
                    if chosen(item):
                        await tell("ADDED", item)
                if request.query.get("sendInitialEvents") == "true":
                    done = {"resourceVersion": str(self.store.version), "annotations": {"k8s.io/initial-events-end": "true"}}
                    await tell("BOOKMARK", {"kind": kind.name, "apiVersion": kind.api_version, "metadata": done})
            try:
                async for number, event, item in self.store.follow(kind.plural, version):
                    if namespace in (None, item["metadata"].get("namespace")) and chosen(item):
                        await tell(event, {**item, "metadata": {**item["metadata"], "resourceVersion": str(number)}})
            except Refused as refused:
                await tell("ERROR", _body(refused))

        async def bookmark() -> None:
            while request.query.get("allowWatchBookmarks") in ("1", "true"):
                await asyncio.sleep(self.bookmark_s)
                version = {"resourceVersion": str(self.store.version)}
                await tell("BOOKMARK", {"kind": kind.name, "apiVersion": kind.api_version, "metadata": version})

        tasks = [asyncio.create_task(follow()), asyncio.create_task(cut.wait())]
        extra = asyncio.create_task(bookmark())
        try:
            seconds = float(request.query.get("timeoutSeconds", 0)) or None
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, extra):
                task.cancel()
            await asyncio.gather(*tasks, extra, return_exceptions=True)
            self.watching -= 1
        with contextlib.suppress(ConnectionError):
            await answer.write_eof()
        return answer

    async def _exec(self, request: web.Request, kind: Kind, namespace: str, name: str) -> web.StreamResponse:
        pod = self.store.get(kind, namespace, name)
        if request.headers.get("upgrade", "").lower() != "websocket":
            raise Refused(400, "BadRequest", "Upgrade request required")
        if pod.get("status", {}).get("phase") != "Running":
            raise Refused(500, "InternalError", f"error dialing backend: pod {name} is not running")
        return await self.execs.serve(request, pod["metadata"]["uid"])


def _group(name: str, version: str) -> dict[str, Any]:
    one = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [one], "preferredVersion": one}


def _body(refused: Refused) -> dict[str, Any]:
    plain = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    details = {"details": {"retryAfterSeconds": refused.retry_after_s}} if refused.retry_after_s is not None else {}
    return {**plain, "message": str(refused), "reason": refused.reason, "code": refused.code, **details}


def _status(refused: Refused) -> web.Response:
    headers = {"retry-after": str(refused.retry_after_s)} if refused.retry_after_s is not None else {}
    return web.json_response(_body(refused), status=refused.code, headers=headers)

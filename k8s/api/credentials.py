"""Who we are to a cluster and how to reach it, as the official client reads it: kubeconfigs, exec plug-ins, or a pod's own account."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from pathlib import Path
from typing import Any, Final, Self

import yaml

from podgym.k8s.api.errors import ApiError

__all__ = ["Credentials"]

_FRESH_S: Final = 10.0
"""How long a token is taken as it is; the official client knows when to renew it, and a plug-in may take seconds."""
_IN_CLUSTER: Final = "KUBERNETES_SERVICE_HOST"


class Credentials:
    """Made by `load`."""

    def __init__(self, configuration: Any, namespace: str) -> None:
        self._configuration = configuration
        self.namespace = namespace
        """Of the context; `default` where it names none."""
        self.server: str = configuration.host.rstrip("/")
        self.proxy: str | None = configuration.proxy or None
        self.server_name: str | None = getattr(configuration, "tls_server_name", None) or None
        self._authorization: str | None = None
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    @classmethod
    def load(cls, kubeconfig: Path | None = None, context: str | None = None) -> Self:
        """From `kubeconfig`, or `$KUBECONFIG`, or inside a pod its account, or ~/.kube/config. Raises `ApiError`."""
        try:
            from kubernetes import config
            from kubernetes.client import Configuration
        except ImportError as error:
            raise ApiError(f"The Kubernetes client is not installed: {error}.", remedy="Install podgym with the extra [k8s].") from error
        made = Configuration()
        file = str(kubeconfig) if kubeconfig is not None else os.environ.get("KUBECONFIG")
        try:
            if file is None and _IN_CLUSTER in os.environ:
                config.load_incluster_config(client_configuration=made)
                return cls(made, _own_namespace())
            config.load_kube_config(config_file=file, context=context, client_configuration=made, persist_config=False)
            contexts, active = config.list_kube_config_contexts(config_file=file)
        except (config.ConfigException, yaml.YAMLError, OSError, TypeError, ValueError, KeyError) as error:
            where = file or "~/.kube/config"
            raise ApiError(
                f"No cluster can be told from {where}: {' '.join(str(error).split())}.",
                remedy="Set KUBECONFIG to a file with a current context, or name one in the provider's options.",
            ) from error
        chosen = next((one for one in contexts if one["name"] == context), active)
        return cls(made, chosen.get("context", {}).get("namespace") or "default")

    def ssl(self) -> ssl.SSLContext | bool:
        """For the server's certificate and ours; False for plain HTTP. Raises `ApiError`."""
        made = self._configuration
        if self.server.startswith("http://"):
            return False
        try:
            context = ssl.create_default_context(cafile=made.ssl_ca_cert)
            if not made.verify_ssl:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if made.cert_file:
                context.load_cert_chain(made.cert_file, made.key_file)
        except (OSError, ssl.SSLError) as error:
            raise ApiError(f"A certificate of the kubeconfig cannot be used: {error}.", remedy="Write the kubeconfig anew.") from error
        return context

    async def headers(self, *, renew: bool = False) -> dict[str, str]:
        """What each request carries; `renew` after the server has refused the last. Raises `ApiError`."""
        now = time.monotonic()
        if renew or now - self._read_at > _FRESH_S:
            async with self._reading:
                if renew or time.monotonic() - self._read_at > _FRESH_S:
                    try:
                        self._authorization = await asyncio.to_thread(
                            self._configuration.get_api_key_with_prefix, "authorization", "BearerToken"
                        )
                    except Exception as error:  # whatever a plug-in does
                        raise ApiError(
                            f"The credentials cannot be renewed: {error}.", remedy="Run the kubeconfig's plug-in by hand."
                        ) from error
                    self._read_at = time.monotonic()
        return {} if self._authorization is None else {"authorization": self._authorization}


def _own_namespace() -> str:
    try:
        return Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read_text("utf-8").strip() or "default"
    except OSError:
        return "default"

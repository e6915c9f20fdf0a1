"""Opens a provider by name, as jobs and the command line name them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from podgym.sandbox.contract import SandboxProvider
from podgym.sandbox.errors import SandboxError

__all__ = ["ProviderError", "open_provider"]

_BUILT_IN = {
    "local": ("podgym.sandbox.local", "LocalProvider", "LocalConfig"),
    "docker": ("podgym.sandbox.docker", "DockerProvider", "DockerConfig"),
}


class ProviderError(SandboxError, ValueError):
    """No provider goes by that name, or its options are wrong."""


def open_provider(name: str, options: Mapping[str, Any]) -> SandboxProvider:
    """The provider called `name`: `local`, `docker`, `auto` (containers where an engine answers, else local; it takes no options), or
    `package.module:Class`, which is called with `options`.

    Raises `ProviderError`.
    """
    if name == "auto":
        return _open_auto(options)
    module_name, kind_name, config_name = _BUILT_IN.get(name, ("", "", ""))
    if not module_name:
        module_name, separator, kind_name = name.partition(":")
        if not separator or not module_name or not kind_name:
            raise ProviderError(
                f"No sandbox provider is called {name!r}.", remedy="Use 'auto', 'local', 'docker', or 'package.module:Class'."
            )
    try:
        module = importlib.import_module(module_name)
        kind = getattr(module, kind_name)
    except (ImportError, AttributeError) as error:
        extra = "Install podgym with the extra [docker]." if name == "docker" else "Check the name, and that the package is installed."
        raise ProviderError(f"Sandbox provider {name!r} cannot be loaded: {error}.", remedy=extra) from error
    try:
        provider = kind(getattr(module, config_name)(**options)) if config_name else kind(**options)
    except (ValidationError, TypeError) as error:
        raise ProviderError(f"Options of sandbox provider {name!r} are wrong: {error}", remedy="See its configuration's fields.") from error
    if not isinstance(provider, SandboxProvider):
        raise ProviderError(f"{name!r} is not a sandbox provider.", remedy="It needs `async create(spec)` and `async close()`.")
    return provider


def _open_auto(options: Mapping[str, Any]) -> SandboxProvider:
    from podgym.sandbox.auto import AutoProvider
    from podgym.sandbox.local import LocalProvider

    if options:
        raise ProviderError(f"The provider 'auto' takes no options, got {', '.join(options)}.", remedy="Name 'local' or 'docker'.")
    try:
        containers: SandboxProvider | None = open_provider("docker", {})
    except SandboxError:
        containers = None  # not installed, or no engine answers
    return AutoProvider(containers, LocalProvider())

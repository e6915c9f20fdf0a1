"""Recipes as Dockerfiles that the classic builder and BuildKit both take.

Nothing of a recipe is ever read as Dockerfile syntax: commands are the JSON form of `RUN`, in which a line break or a `$` has
no meaning, values of `ENV` are escaped, and names of files are held to plain characters. What only the build needs (proxies, a
CA bundle) comes as build arguments, which leave no trace in the image's environment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from pydantic import BaseModel, ConfigDict

from podgym.sandbox.errors import ImageError
from podgym.sandbox.images import INSTALL_LOG, Copy, ImageRecipe

__all__ = ["BuildSettings", "dockerfile", "packages_script"]

_IMAGE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._/:@-]*$")
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_PATH = re.compile(r"^[A-Za-z0-9_./@+, -]+$")
_LINE_BYTES: Final = 60_000
"""Docker refuses lines beyond 64 KiB."""

_CA_PATH: Final = "/usr/local/share/podgym-ca.pem"
_CA_NAMES: Final = ("CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


class BuildSettings(BaseModel):
    """What the machine that builds needs, as opposed to the image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    args: tuple[str, ...] = ()
    """Names of build arguments to pass on to the steps, besides Docker's own (HTTP_PROXY and its like)."""
    ca_bundle: str | None = None
    """PEM file in the context with the certificates to trust while building."""


def dockerfile(recipe: ImageRecipe, settings: BuildSettings | None = None) -> str:
    """The Dockerfile of a recipe: base, environment, packages, `before_copies`, `before`, `copies`, `after`, in that order.

    One line is one instruction. Recipes that are equal up to `before` have equal lines up to there, and so share those layers.

    Raises `ImageError` for a value that a Dockerfile cannot hold.
    """
    settings = settings or BuildSettings()
    if not _IMAGE.fullmatch(recipe.base):
        raise _refused("base image", recipe.base, "letters, digits and ._/:@-")
    lines = [f"FROM {recipe.base}"]
    for name in settings.args:
        if not _NAME.fullmatch(name):
            raise _refused("build argument", name, "letters, digits and _")
        lines.append(f"ARG {name}")
    if settings.ca_bundle is not None:
        lines.append(_copy(Copy(source=settings.ca_bundle, target=_CA_PATH)))
        lines += [f"ARG {name}={_CA_PATH}" for name in _CA_NAMES]
    lines += [_env(name, value) for name, value in recipe.env.items()]
    # WORKDIR makes a directory that is not there, without a command; the last one holds.
    for path in dict.fromkeys((*recipe.writable, recipe.workdir)):
        if path != recipe.workdir:
            lines.append(f"WORKDIR {_absolute(path)}")
    lines.append(f"WORKDIR {_absolute(recipe.workdir)}")
    if recipe.packages:
        lines.append(_run(packages_script(recipe.packages)))
    lines += [_copy(copy) for copy in recipe.before_copies]
    lines += [_run(step.run) for step in recipe.before]
    lines += [_copy(copy) for copy in recipe.copies]
    lines += [_run(step.run) for step in recipe.after]
    if settings.ca_bundle is not None:
        lines.append(_run(f"rm -f {_CA_PATH}"))
    return "\n".join(lines) + "\n"


def packages_script(packages: Sequence[str]) -> str:
    """Installs Debian packages; one that the distribution lacks, or that cannot be installed beside those before it, is left out.

    Any other failure is one.
    """
    folder = PurePosixPath(INSTALL_LOG).parent
    return f"""export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || {{ sleep 5; apt-get update -qq; }} || exit 1
leave() {{ echo "not installed: $1"; [ ! -d {folder} ] || echo "not installed: $1" >> {INSTALL_LOG}; }}
fits() {{ apt-get install -s -qq --no-install-recommends "$@" > /dev/null 2>&1; }}
known=
for one in {" ".join(packages)}; do
  if apt-cache pkgnames --all-names | grep -Fqx -e "$one"; then known="$known $one"; else leave "$one"; fi
done
if ! fits $known; then
  all=$known known=
  for one in $all; do if fits $known "$one"; then known="$known $one"; else leave "$one"; fi; done
fi
test -z "$known" || apt-get install -y -qq --no-install-recommends -o Acquire::Retries=3 $known || exit 1
rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb"""


def _env(name: str, value: str) -> str:
    if not _NAME.fullmatch(name):
        raise _refused("environment variable", name, "letters, digits and _")
    if any(ord(char) < 32 and char != "\t" for char in value):
        raise _refused(f"value of {name}", value, "anything but line breaks and control characters")
    escaped = re.sub(r'(["$\\])', r"\\\1", value)
    return _fits(f'ENV {name}="{escaped}"')


def _run(script: str) -> str:
    if "\0" in script:
        raise _refused("step", script, "anything but NUL")
    return _fits(f"RUN {json.dumps(['/bin/sh', '-c', script])}")


def _copy(copy: Copy) -> str:
    """`ADD` unpacks a tar into a directory; `COPY` lays down a file, or what is in a directory."""
    source = PurePosixPath(copy.source)
    if not _PATH.fullmatch(copy.source) or source.is_absolute() or ".." in source.parts:
        raise _refused("source to copy", copy.source, "a relative path inside the context of letters, digits, space and _./@+,-")
    if source.suffix == ".tar":
        return f"ADD {json.dumps([copy.source, _absolute(copy.target).rstrip('/') + '/'])}"
    return f"COPY {json.dumps([copy.source, _absolute(copy.target)])}"


def _absolute(path: str) -> str:
    if not _PATH.fullmatch(path) or not path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise _refused("path in the image", path, "an absolute path of letters, digits, space and _./@+,-")
    return path


def _fits(line: str) -> str:
    if len(line) > _LINE_BYTES:
        raise ImageError(
            f"A line of {len(line)} bytes does not fit a Dockerfile: {line[:80]!r}.",
            remedy="Put the script into a file of the context and run that.",
        )
    return line


def _refused(what: str, value: str, allowed: str) -> ImageError:
    return ImageError(f"The recipe's {what} {value[:200]!r} cannot go into a Dockerfile; allowed: {allowed}.", remedy="Correct the recipe.")

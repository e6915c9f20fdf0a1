"""Failures of the machine and of the installation as messages with something to do: a full disk, a folder that cannot be written,
a package that the core installation leaves out."""

from __future__ import annotations

import errno

from podgym.errors import PodgymError

__all__ = ["InstallError", "explained", "missing_package", "remedy_for"]

_TRAIN = ("torch", "transformers", "tokenizers", "safetensors")
_SPACE = "Free space on that file system, or name a folder on another one."
_REMEDIES = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: "Free space in your quota, or name a folder on another file system.",
    errno.EACCES: "Make it accessible for this user, or name another folder.",
    errno.EPERM: "Make it accessible for this user, or name another folder.",
    errno.EROFS: "Name a folder on a file system that can be written.",
    errno.EMFILE: "Allow more open files: ulimit -n 65536",
    errno.ENOMEM: "Free memory, or let less run at once.",
}


class InstallError(PodgymError, ImportError):
    """A package is not installed that the command needs."""


def explained(error: OSError) -> tuple[str, str]:
    """What failed, and what to do about it; the latter is empty where nothing general can be said."""
    where = f": {error.filename}" if error.filename is not None else ""
    return f"{error.strerror or error}{where}.", _REMEDIES.get(error.errno or 0, "")


def remedy_for(text: str) -> str:
    """The same for what another program or library said."""
    low = text.lower()
    if any(sign in low for sign in ("no space left", "quota exceeded", "disk is full", "free space")):
        return _SPACE
    return _REMEDIES[errno.EROFS] if "read-only file system" in low else ""


def missing_package(error: ImportError) -> InstallError | None:
    """What to say where a package of the extra `train` is missing; None for any other failed import."""
    package = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or package not in _TRAIN:
        return None
    return InstallError(f"This needs {package}, which is not installed.", remedy="pip install 'podgym[train]'")

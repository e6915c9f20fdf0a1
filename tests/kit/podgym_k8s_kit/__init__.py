"""An API server in this process, for what a real one cannot be made to do on demand. Any client of Kubernetes can use it."""

from podgym_k8s_kit.server import FakeApi

__all__ = ["FakeApi"]

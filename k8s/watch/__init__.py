"""What a cluster holds, kept up to date by watches."""

from podgym.k8s.watch.reflector import Change, Reflector

__all__ = ["Change", "Reflector"]

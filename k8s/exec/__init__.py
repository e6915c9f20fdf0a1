"""Commands in a pod, all through one stream: see `mux` for what is promised, and `supervisor.sh` for how the pod keeps it."""

from podgym.k8s.exec.channel import Channel, ChannelClosed
from podgym.k8s.exec.mux import Command, Mux
from podgym.k8s.exec.oneshot import OneShot
from podgym.k8s.exec.requests import BOOTSTRAP

__all__ = ["BOOTSTRAP", "Channel", "ChannelClosed", "Command", "Mux", "OneShot"]

"""The pods that sandboxes are: their objects, and what becomes of them."""

from podgym.k8s.pods.spec import pod_object
from podgym.k8s.pods.state import PodState, Problem, read_pod

__all__ = ["PodState", "Problem", "pod_object", "read_pod"]

"""The sandbox contract on Kubernetes: so far how commands run in a pod that is there, see `exec`."""

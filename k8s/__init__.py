"""The sandbox contract on Kubernetes: pods made, watched and removed (`provider`), commands in them (`exec`), the API (`api`, `watch`)."""

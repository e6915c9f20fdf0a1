"""The sandbox contract on Kubernetes: so far the API (`api`), and how commands run in a pod that is there (`exec`)."""

"""The sandbox contract on Kubernetes: so far the API (`api`), mirrors of it (`watch`), pod objects (`pods`), commands in a pod (`exec`)."""

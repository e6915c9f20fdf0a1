"""The process that reads sources: `python -m podgym.verifiers.decoys`."""

from podgym.verifiers.decoys.reading import main

main()

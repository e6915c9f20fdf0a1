"""The process of `podgym.envs.build.mutation.reading`."""

from podgym.envs.build.mutation.reading import main

main()

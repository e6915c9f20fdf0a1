"""Tasks without a fix commit: small changes of a working project that its own tests find."""

from podgym.envs.build.mutation.edits import Mutation
from podgym.envs.build.mutation.options import MutationOptions
from podgym.envs.build.mutation.synthesis import synthesise
from podgym.envs.build.mutation.trying import Trial
from podgym.envs.build.mutation.writing import ChatWriter, IssueWriter, ScriptedWriter, WriterError

__all__ = [
    "ChatWriter",
    "IssueWriter",
    "Mutation",
    "MutationOptions",
    "ScriptedWriter",
    "Trial",
    "WriterError",
    "synthesise",
]

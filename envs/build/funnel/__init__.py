"""Many builds at once, each in a process of its own; a funnel that was stopped goes on where it was."""

from podgym.envs.build.funnel.errors import FunnelError
from podgym.envs.build.funnel.funnel import Event, run_funnel
from podgym.envs.build.funnel.job import Bounds, Job
from podgym.envs.build.funnel.journal import JOURNAL, Journal
from podgym.envs.build.funnel.line import BadLine, Line, Source, read_lines
from podgym.envs.build.funnel.pool import HerePool, Pool
from podgym.envs.build.funnel.row import Row
from podgym.envs.build.funnel.summary import FunnelSummary, LanguageSummary, summarise

__all__ = [
    "JOURNAL",
    "BadLine",
    "Bounds",
    "Event",
    "FunnelError",
    "FunnelSummary",
    "HerePool",
    "Job",
    "Journal",
    "LanguageSummary",
    "Line",
    "Pool",
    "Row",
    "Source",
    "read_lines",
    "run_funnel",
    "summarise",
]

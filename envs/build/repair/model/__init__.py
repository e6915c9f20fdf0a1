"""A model that mends a plan where the rules have nothing left to try."""

from podgym.envs.build.repair.model.contract import ModelError, RepairModel, Reply, ToolCall
from podgym.envs.build.repair.model.endpoint import ChatEndpoint, EndpointConfig
from podgym.envs.build.repair.model.proposal import Proposal, ProposalError, applied
from podgym.envs.build.repair.model.scripted import ScriptedModel, turn
from podgym.envs.build.repair.model.session import Mended, ModelBudget, last_good, mend

__all__ = [
    "ChatEndpoint",
    "EndpointConfig",
    "Mended",
    "ModelBudget",
    "ModelError",
    "Proposal",
    "ProposalError",
    "RepairModel",
    "Reply",
    "ScriptedModel",
    "ToolCall",
    "applied",
    "last_good",
    "mend",
    "turn",
]

"""Puts the parts together: services, tools and front ends of one workspace."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from datasteward.calling import LocalCaller, ToolCaller
from datasteward.owner.client import open_owner
from datasteward.services import Services, open_services
from datasteward.settings import Settings
from datasteward.tooling import FrontEnd, Toolset
from datasteward.workspace import Workspace


@asynccontextmanager
async def open_local(workspace: Workspace, settings: Settings) -> AsyncIterator[tuple[LocalCaller, Services]]:
    """The tools on services of this very process; raises `ConfigError` when the workspace cannot be opened."""
    from datasteward_tools.registry import TOOLS

    async with open_services(workspace, settings) as services:
        yield LocalCaller(Toolset.of(TOOLS), services), services


@asynccontextmanager
async def open_tools(
    workspace: Workspace, settings: Settings, *, front_end: FrontEnd, name: str, is_model: bool, no_owner: bool = False
) -> AsyncIterator[ToolCaller]:
    """The workspace's tools, in its owner process or, with `no_owner`, in this one."""
    if no_owner:
        async with open_local(workspace, settings) as (caller, _):
            yield caller
    else:
        async with open_owner(workspace, front_end=front_end, name=name, is_model=is_model) as client:
            yield client

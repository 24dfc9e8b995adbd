"""Puts the parts together: services, tools and front ends of one workspace."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from datasteward.callers import FrontEnd
from datasteward.calling import ToolCaller
from datasteward.workspace import Workspace

if TYPE_CHECKING:
    from datasteward.local_calls import LocalCaller
    from datasteward.services import Services
    from datasteward.settings import Settings


@asynccontextmanager
async def open_local(workspace: Workspace, settings: "Settings") -> AsyncIterator[tuple["LocalCaller", "Services"]]:
    """The tools on services of this very process; raises `ConfigError` when the workspace cannot be opened."""
    from datasteward.local_calls import LocalCaller
    from datasteward.services import open_services
    from datasteward.tooling import Toolset
    from datasteward_tools.registry import TOOLS

    async with open_services(workspace, settings) as services:
        yield LocalCaller(Toolset.of(TOOLS), services), services


@asynccontextmanager
async def open_tools(
    workspace: Workspace, *, front_end: FrontEnd, name: str, is_model: bool, no_owner: bool = False
) -> AsyncIterator[ToolCaller]:
    """The workspace's tools, in its owner process or, with `no_owner`, in this one.

    Raises `ConfigError` when the workspace cannot be opened, `EngineFault` when the owner does not start.
    """
    if no_owner:
        from datasteward.settings import load_settings

        async with open_local(workspace, load_settings(workspace)) as (caller, _):
            yield caller
    else:
        from datasteward.owner.client import open_owner

        async with open_owner(workspace, front_end=front_end, name=name, is_model=is_model) as client:
            yield client

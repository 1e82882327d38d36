"""Whose trends somebody may see: everybody's, those of one's teams, or one's own."""

from dataclasses import replace

import sqlalchemy as sa

from analytics.sums import Filters
from crm.access import EVERYBODYS, NotAllowed, Role, Viewer
from crm.users import names_of


def own_filters(connection: sa.Connection, viewer: Viewer, wanted: Filters) -> Filters:
    """What was asked for, narrowed to what `viewer` may see: a lead who names no team gets the first of hers, an agent
    his own calls. Raises NotAllowed for another's.
    """
    if viewer.role in EVERYBODYS:
        return wanted
    names = names_of(connection)
    if viewer.role is Role.LEAD:
        teams = sorted(names.teams[team_id] for team_id in viewer.team_ids)
        return replace(wanted, team=_one_of(teams, wanted.team, viewer))
    own = [names.agents[viewer.agent_id]] if viewer.role is Role.AGENT and viewer.agent_id else []
    return replace(wanted, agent=_one_of(own, wanted.agent, viewer))


def _one_of(own: list[str], asked: str, viewer: Viewer) -> str:
    if not own:
        raise NotAllowed(f"{viewer.name} ({viewer.role}) has no calls of their own and no team: an admin can give them")
    if not asked:
        return own[0]
    for name in own:
        if name.casefold() == asked.casefold():
            return name
    raise NotAllowed(f"{viewer.name} ({viewer.role}) may see trends of {', '.join(own)} only")

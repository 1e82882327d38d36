"""The call reasons by the API: read them, see what others would change, and load them."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from analytics.proposals import proposed_themes, themes_document
from analytics.sums import until_after
from calls.errors import SettingsError
from calls.reasons import Taxonomy
from calls.taxonomy_file import parse_taxonomy
from crm.access import Permission
from crm.audit import Action, note
from crm.taxonomies import NoSuchVersion, current_taxonomy, store_taxonomy, stored_taxonomy, taxonomy_versions
from crm.taxonomy_documents import taxonomy_document, version_document
from crm.taxonomy_plan import plan_document, plan_taxonomy
from web.api_models_work import Reasons, ReasonsFile, ReasonsPlan, ReasonsThemes, ReasonsVersions
from web.api_route import BEARS_KEY, ApiRoute, answer
from web.auth import ApiViewer, api_viewer, needs
from web.errors import CannotBeDone
from web.filters import Words
from web.problems import answers
from web.site import OurSite

router = APIRouter(prefix="/api/v1", tags=["reasons"], dependencies=[Depends(api_viewer)], route_class=ApiRoute)


@router.get("/reasons", dependencies=[Depends(needs(Permission.READ_CALLS))], responses=answers(Reasons, 304, 404))
def reasons(site: OurSite) -> Response:
    """The reasons by which calls are classified now."""
    with site.wiring.database.read() as connection:
        found = current_taxonomy(connection)
    if found is None:
        raise NoSuchVersion("no reasons are stored yet")
    return answer(taxonomy_document(found, is_current=True))


@router.put(
    "/reasons",
    dependencies=[Depends(needs(Permission.EDIT_REASONS)), BEARS_KEY],
    responses=answers(ReasonsPlan),
)
def load(site: OurSite, viewer: ApiViewer, given: ReasonsFile) -> Response:
    """Classify calls by these reasons from now on; earlier calls keep theirs. Says what it changed."""
    taxonomy = _parsed(given.text)
    with site.wiring.database.write() as connection:
        document = plan_document(plan_taxonomy(connection, taxonomy))
        try:
            store_taxonomy(connection, taxonomy, site.clock())
        except SettingsError as error:
            raise CannotBeDone(error.detail, code=error.code) from None
        note(connection, viewer, Action.REASONS_LOADED, detail=taxonomy.version, now=site.clock())
    return answer(document | {"is_current": True})


@router.post("/reasons/plan", dependencies=[Depends(needs(Permission.EDIT_REASONS))], responses=answers(ReasonsPlan))
def plan(site: OurSite, given: ReasonsFile) -> Response:
    """What these reasons would change; nothing is changed."""
    taxonomy = _parsed(given.text)
    with site.wiring.database.read() as connection:
        document: dict[str, Any] = plan_document(plan_taxonomy(connection, taxonomy))
    return answer(document | {"is_current": document["previous_version"] == taxonomy.version})


@router.get(
    "/reasons/themes",
    dependencies=[Depends(needs(Permission.EDIT_REASONS, Permission.READ_CALLS))],
    responses=answers(ReasonsThemes, 304),
)
def themes(
    site: OurSite,
    viewer: ApiViewer,
    since: Annotated[date | None, Query(description="First day.")] = None,
    until: Annotated[date | None, Query(description="Last day.")] = None,
) -> Response:
    """What the reasons lack: themes of the calls that none of them fits, each with a draft of a reason."""
    with site.wiring.database.read() as connection:
        found = proposed_themes(connection, viewer, since=since, until=until_after(until), find=site.wiring.redaction)
    return answer(themes_document(found))


@router.get(
    "/reasons/versions", dependencies=[Depends(needs(Permission.READ_CALLS))], responses=answers(ReasonsVersions, 304)
)
def versions(site: OurSite) -> Response:
    """Every version of the reasons that was ever loaded."""
    with site.wiring.database.read() as connection:
        found = taxonomy_versions(connection)
    return answer({"versions": [version_document(one) for one in found]})


@router.get(
    "/reasons/versions/{version}",
    dependencies=[Depends(needs(Permission.READ_CALLS))],
    responses=answers(Reasons, 304, 404),
)
def version_of_reasons(site: OurSite, version: Words) -> Response:
    """The reasons of one version."""
    with site.wiring.database.read() as connection:
        found = stored_taxonomy(connection, version)
        current = current_taxonomy(connection)
    return answer(taxonomy_document(found, is_current=current is not None and current.version == found.version))


def _parsed(text: str) -> Taxonomy:
    try:
        return parse_taxonomy(text)
    except SettingsError as error:
        raise CannotBeDone(error.detail, code=error.code) from None

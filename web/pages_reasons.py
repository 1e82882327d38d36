"""The reasons by which calls are classified: their examples, their versions, and what another version would change."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from analytics.proposals import draft_of, proposed_themes
from analytics.themes import MIN_CALLS, Themes
from calls.errors import SettingsError
from calls.taxonomy_file import parse_taxonomy
from calls.taxonomy_text import write_taxonomy
from crm.access import Permission
from crm.audit import Action, note
from crm.taxonomies import current_taxonomy, store_taxonomy, stored_taxonomy, taxonomy_versions
from crm.taxonomy_plan import TaxonomyPlan, plan_taxonomy
from web.auth import CheckedForm, PageVisitor, Visitor, needs
from web.filters import Words
from web.site import OurSite, Site

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Permission.READ_CALLS))])
# Ten times the largest file that the bounds of calls.taxonomy_file let anybody write in earnest.
MAX_TEXT = 500_000


@router.get("/reasons")
def reasons_page(
    request: Request, site: OurSite, visitor: PageVisitor, version: Words = "", loaded: Words = ""
) -> Response:
    """The reasons of now, or of one version."""
    return _page(request, site, visitor, version=version, loaded=loaded)


@router.get("/reasons/themes", dependencies=[Depends(needs(Permission.EDIT_REASONS))])
def themes_page(request: Request, site: OurSite, visitor: PageVisitor, accept: Words = "") -> Response:
    """What the reasons lack; with `accept`, the theme's draft of a reason stands in the file, to be reworded."""
    with site.wiring.database.read() as connection:
        found = proposed_themes(connection, visitor.viewer, find=site.wiring.redaction)
        current = current_taxonomy(connection)
    text = write_taxonomy(draft_of(current, found, [accept])) if accept else None
    return _page(request, site, visitor, text=text, themes=found)


@router.post("/reasons", dependencies=[Depends(needs(Permission.EDIT_REASONS)), CheckedForm])
def change_reasons(
    request: Request,
    site: OurSite,
    visitor: PageVisitor,
    text: Annotated[str, Form(max_length=MAX_TEXT)],
    do: Annotated[Literal["plan", "load"], Form()] = "plan",
) -> Response:
    """Say what these reasons would change, or classify by them from now on."""
    try:
        given = parse_taxonomy(text)
        with site.wiring.database.read() as connection:
            plan = plan_taxonomy(connection, given)
        if do == "load":
            with site.wiring.database.write() as connection:
                store_taxonomy(connection, given, site.clock())
                note(connection, visitor.viewer, Action.REASONS_LOADED, detail=given.version, now=site.clock())
            return RedirectResponse(f"/reasons?loaded={given.version}", 303)
    except SettingsError as error:
        return _page(request, site, visitor, text=text, wrong=error.detail, status=422)
    return _page(request, site, visitor, text=text, plan=plan)


def _page(
    request: Request,
    site: Site,
    visitor: Visitor,
    *,
    version: str = "",
    loaded: str = "",
    text: str | None = None,
    plan: TaxonomyPlan | None = None,
    wrong: str = "",
    themes: Themes | None = None,
    status: int = 200,
) -> Response:
    with site.wiring.database.read() as connection:
        current = current_taxonomy(connection)
        shown = stored_taxonomy(connection, version) if version else current
        versions = taxonomy_versions(connection)
    context = {
        "visitor": visitor,
        "taxonomy": shown,
        "is_current": shown is not None and current is not None and shown.version == current.version,
        "versions": versions,
        "text": text if text is not None else write_taxonomy(shown) if shown else "",
        "plan": plan,
        "wrong": wrong,
        "loaded": loaded,
        "themes": themes,
        "least_calls": MIN_CALLS,
        "is_editing": text is not None,
    }
    return site.templates.TemplateResponse(request, "reasons.html", context, status)

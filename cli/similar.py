"""`similar`: calls that are about the same as one, and the vectors that find them."""

import time
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.common import HomeOption, JsonFlag, emit, say, stop, wire
from crm.access import OPERATOR
from crm.calls import find_call
from crm.schema import require_current
from crm.similar import MAX_SIMILAR, SimilarCalls, similar_calls, similar_document
from runtime.wiring import Wiring

BUILD = "build"
_OFF = "similar.engine is none: set CALLWISE_SIMILAR__ENGINE=local, or an API's (docs/search.md)"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("similar")(similar)


def similar(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="CALL",
            help="Our id (8 digits suffice), telephony's id, or bucket/key; or `build`: make all vectors that are"
            " missing, now.",
        ),
    ],
    *,
    limit: Annotated[int, typer.Option(min=1, max=MAX_SIMILAR, help="Calls at most.")] = 10,
    refit: Annotated[
        bool, typer.Option("--refit", help="With `build`: fit the local model anew first, and make every vector anew.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Calls that are about the same as this one, the nearest first."""
    wired = wire(home)
    require_current(wired.database)
    if not wired.settings.similar.is_on:
        stop(f"callwise similar: {_OFF}")
    if reference == BUILD:
        _build(wired, refit=refit, as_json=as_json)
        return
    if refit:
        stop("callwise similar: --refit belongs to `callwise similar build`", code=2)
    with wired.database.read() as connection:
        call_id = find_call(connection, reference)
        found = similar_calls(connection, OPERATOR, call_id, limit=limit)
    if as_json:
        emit(similar_document(call_id, found))
    else:
        _tell(found)
    if found.model is None:
        stop("callwise similar: the call has no vector: it has no summary, or `callwise similar build` has to run")


def _build(wired: Wiring, *, refit: bool, as_json: bool) -> None:
    from runtime.similar import Similar

    built = Similar(wired).build(refit=refit, told=lambda count: say(f"{count} calls"), pause=time.sleep)
    if as_json:
        emit({"model": built.model, "vectors": built.vector_count, "is_indexed": built.is_indexed})
    if built.model is None:
        stop("callwise similar: too few calls have a summary to fit a model on")
    if not as_json:
        how = "found by pgvector" if built.is_indexed else "compared one by one"
        say(f"{built.vector_count} vectors made by {built.model}; calls are {how}")


def _tell(found: SimilarCalls) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("likeness", "id", "about", "reason"):
        table.add_column(name, no_wrap=name in {"likeness", "id"})
    for one in found.calls:
        line = one.line
        table.add_row(
            f"{one.likeness:.3f}",
            line.id.hex[:8],
            escape(line.headline or line.external_call_id),
            escape(line.reason_label or ""),
        )
    Console().print(table)

"""The figures of `eval reasons` and `eval summary` as people read them."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_MOST_MISTAKEN = 10


def print_reasons(document: dict[str, Any]) -> None:
    """One line a figure, then what was taken for what."""
    console = Console()
    console.print(f"{document['engine']} on {document['data']}", style="bold", markup=False, highlight=False)
    sure = document["sure"]
    lines = [
        f"calls {document['call_count']}, reasons {document['reason_count']} ({document['taxonomy']}),"
        f" labels learned from {document['label_count']}",
        f"accuracy {percent(document['accuracy'])}; by shared words alone {percent(document['keyword_accuracy'])}",
        f"macro-F1 {percent(document['macro_f1'])}",
        f"the half it is surest of {percent(document['surest_half'])}",
        f"not called unsure: {sure['share']:.1%} of the calls, right {percent(sure['accuracy'])}",
    ]
    if document["failed"]:
        lines.append("no answer: " + ", ".join(f"{code} {count}" for code, count in document["failed"].items()))
    lines += _cost_line(document["cost"])
    for line in lines:
        console.print(line, highlight=False, markup=False)
    if document["confusion"]:
        table = Table(title="taken for another")
        for name in ("reason", "found", "calls"):
            table.add_column(name, justify="right" if name == "calls" else "left")
        for row in document["confusion"][:_MOST_MISTAKEN]:
            table.add_row(escape(row["truth"]), escape(row["found"] or "-"), str(row["calls"]))
        console.print(table)
    _warn_of_demo(console, document)


def print_summaries(document: dict[str, Any]) -> None:
    """A row a system, then how the quotes stand."""
    console = Console()
    table = Table(title=escape(f"{document['engine']} on {document['data']}"))
    for name in ("system", "ROUGE-1", "ROUGE-2", "ROUGE-L", "words"):
        table.add_column(name, justify="left" if name == "system" else "right")
    for name, row in document["systems"].items():
        cells = [percent(row[rouge]) for rouge in ("rouge_1", "rouge_2", "rouge_l")]
        table.add_row(name.replace("_", "-"), *cells, str(row["words"] if row["words"] is not None else "-"))
    console.print(table)
    quotes = document["quotes"]
    lines = [
        f"conversations {document['call_count']}, with a reference {document['with_reference_count']}",
        f"ROUGE-1 over lead-3: {percent(document['over_lead_3'])}",
        f"quotes that were said: {percent(quotes['found'])} of {quotes['quote_count']}; summaries with one:"
        f" {percent(quotes['supported'])} of {quotes['summary_count']}",
    ]
    for line in [*lines, *_cost_line(document["cost"])]:
        console.print(line, highlight=False, markup=False)
    _warn_of_demo(console, document)


def percent(rate: dict[str, float] | None) -> str:
    """A rate with its interval."""
    if rate is None:
        return "-"
    return f"{rate['value']:.1%} ({rate['low']:.1%} to {rate['high']:.1%})"


def _cost_line(cost: dict[str, Any]) -> list[str]:
    if not cost["request_count"]:
        return []
    price = "price unknown" if cost["cost_microusd"] is None else f"${cost['cost_microusd'] / 1e6:.4f}"
    tokens = f"{cost['input_tokens']} tokens in ({cost['cached_tokens']} cached), {cost['output_tokens']} out"
    return [f"paid requests: {cost['request_count']}, {tokens}, {price}; they are not in the ledger"]


def _warn_of_demo(console: Console, document: dict[str, Any]) -> None:
    if document["is_demo"]:
        console.print("A demo engine: good for a look round, not for decisions.", style="yellow")

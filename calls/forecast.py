"""What asking a language model about many calls will take, before it is asked: from what asking took before."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from calls.prices import Price, cost_microusd

# What a transcript grows by where it becomes the turns of a prompt, each with its speaker and number: in the dialogues
# of STAR, whose turns are short, to 2.1 times its bytes.
_TURNS_AROUND_TEXT = 2.2
_BYTES_PER_TOKEN = 4


class Basis(StrEnum):
    """What a forecast rests on: the ledger's tokens for these very calls, an upper bound, or that nobody is paid."""

    OBSERVED = "observed"
    UPPER_BOUND = "upper_bound"
    FREE = "free"


@dataclass(frozen=True)
class Tokens:
    """Tokens of one or many requests; `cached` are among the `input` ones."""

    input: int = 0
    cached: int = 0
    output: int = 0


@dataclass(frozen=True)
class Forecast:
    """What a model is going to be paid for; `cost_microusd` is None where one of `unpriced_models` has no price."""

    basis: Basis
    tokens: Tokens
    cost_microusd: int | None
    unpriced_models: tuple[str, ...] = ()


def forecast(
    call_count: int,
    *,
    models: Sequence[str],
    price_of: Callable[[str], Price | None],
    observed: Mapping[str, Tokens],
    observed_count: int,
    upper_bound: Tokens,
    is_batch: bool = False,
) -> Forecast:
    """What asking about `call_count` calls takes.

    `models` are those that are set now, none for an engine that nobody pays; `observed` is what `observed_count`
    askings took, by model: what a model took that is not set any more, the first of `models` will take. Where nothing
    was observed, `upper_bound` (of one asking of the first model) counts: the true figure is below it.
    """
    if not models or not call_count:
        return Forecast(Basis.FREE, Tokens(), 0)
    basis, each, divisor = Basis.UPPER_BOUND, {models[0]: upper_bound}, 1
    if observed_count:
        basis, each, divisor = Basis.OBSERVED, _as_models_of_now(observed, models), observed_count
    total = {model: _times(tokens, call_count, divisor) for model, tokens in each.items()}
    costs = {
        model: cost_microusd(
            price_of(model),
            input_tokens=tokens.input,
            cached_tokens=tokens.cached,
            output_tokens=tokens.output,
            is_batch=is_batch,
        )
        for model, tokens in total.items()
    }
    unpriced = tuple(model for model, cost in costs.items() if cost is None)
    return Forecast(
        basis=basis,
        tokens=_sum(total.values()),
        cost_microusd=None if unpriced else sum(cost or 0 for cost in costs.values()),
        unpriced_models=unpriced,
    )


def bound_of_one(prompt_tokens: int, text_bytes: float, max_output_tokens: int) -> Tokens:
    """The most that one asking takes: the fixed part of the prompt, a transcript of that many bytes, a full answer."""
    said = text_bytes * _TURNS_AROUND_TEXT / _BYTES_PER_TOKEN
    return Tokens(prompt_tokens + round(said), 0, max_output_tokens)


def _as_models_of_now(observed: Mapping[str, Tokens], models: Sequence[str]) -> dict[str, Tokens]:
    found: dict[str, Tokens] = {}
    for model, tokens in observed.items():
        name = model if model in models else models[0]
        found[name] = _sum([found.get(name, Tokens()), tokens])
    return found


def _times(tokens: Tokens, factor: int, divisor: int) -> Tokens:
    return Tokens(*(-(-count * factor // divisor) for count in (tokens.input, tokens.cached, tokens.output)))


def _sum(many: Iterable[Tokens]) -> Tokens:
    listed = list(many)
    return Tokens(
        sum(one.input for one in listed), sum(one.cached for one in listed), sum(one.output for one in listed)
    )

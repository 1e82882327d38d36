"""The same meters and limiters in virtual time: what is left of the figures where no machine gets in the way."""

from typing import Any

from bench.pacing_server import LIMITERS, Sizes
from calls.meter import Limits
from tests.pacing_field import TPM, Field

MINUTES = 10
# Of 240 requests a minute, a tenth: as many live calls as under the other limiters.
LIVE_OF_REQUESTS = 0.24


def virtual_figures(requests_per_minute: int) -> dict[str, dict[str, Any]]:
    """For each limiter `share_of_bound`, `status_429_per_1000` and `p99_interactive_wait_s` of ten minutes, with 10 ms
    between leave and arrival on average.
    """
    sizes, found = Sizes(TPM, requests_per_minute, 60.0), {}
    for name, make in LIMITERS.items():
        is_of_requests = name == "request_windows"
        run = Field(make(sizes))
        if is_of_requests:
            run.limits, run.live_share = Limits(requests_per_minute=requests_per_minute), LIVE_OF_REQUESTS
        run.run(60.0 * MINUTES, prompt=(lambda _chance: 300) if is_of_requests else None)
        share = run.share(0, 60.0 * MINUTES, of_used=name == "provisioned")
        if is_of_requests:
            share = len(run.admitted) / (requests_per_minute * MINUTES)
        found[name] = {
            "share_of_bound": round(share, 3),
            "status_429_per_1000": round(run.refused_per_1000, 2),
            "p99_interactive_wait_s": round(run.p99_live_wait_s, 2),
            "requests": len(run.admitted) + run.refusals,
        }
    return found

"""Looks after batches once and dies at a moment: `python -m tests.workers.tending DATABASE_URL SERVER_URL MOMENT`.

`MOMENT` is one of workers.batches.BatchWork.observe; `-` dies at none.
"""

import os
import signal
import sys

from crm.database import Database
from engines.language_batch import BatchApi
from tests.servers.openai_server import API_KEY
from workers.batches import BatchWork, tend

MODEL = "gpt-5.4-mini"


def main(database_url: str, base_url: str, moment: str) -> None:
    """Do it."""

    def die(reached: str) -> None:
        if reached == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    api = BatchApi("openai", model=MODEL, api_key=API_KEY, base_url=base_url)
    tend(BatchWork(Database(database_url), {api.name: api}, is_on=True, gather_s=0.0, observe=die))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The hostile proof: bad events and a schedule of kills against the whole of Callwise, and the database afterwards.

    python -m bench.chaos --json --setup rabbitmq redis sqs embedded --recordings 2000 --kills 50 [--stock] [--seed 1]

What is promised and how this proves it stands in docs/reliability.md.
"""

"""`python -m cli`: how the supervisor starts its children with this very interpreter."""

from cli.main import main

main()

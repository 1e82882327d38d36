"""The `callwise` command."""

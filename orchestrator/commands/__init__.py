"""Implementations of commands: no typing and no printing, which are `orchestrator.cli`."""

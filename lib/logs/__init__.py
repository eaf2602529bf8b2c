"""The logs of a run, made from its events."""

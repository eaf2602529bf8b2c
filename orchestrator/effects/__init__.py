"""Jobs that Relay does itself, with git and files: one effect a file, found by scanning.

Each may be done again from any half-done state. What it takes and gives is in `lib.effects`.
"""

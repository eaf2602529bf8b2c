"""Relay's promises about time and memory, measured against the plainest thing that does the same, side by side."""

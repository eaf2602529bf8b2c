"""The next turn: who takes it, when it is tried again, and within which budget. Pure."""

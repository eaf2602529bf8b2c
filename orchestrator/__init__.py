"""The daemon and the commands: the only layer that drives."""

"""Runs without processes, git or files: the real machine in a world whose clock and whose jobs' ends are made up."""

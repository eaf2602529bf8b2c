"""Resolutions of conflicts, judged by what is in the files. Pure."""

"""Containment of what Relay starts: which files a job may write, in a file system and a process table of its own.

`Policy` says what is allowed, `wrap` makes the command that bubblewrap is started with, `probe` tells whether that
works on this machine, and `make_scratch` gives a job its private folder for temporary files.
"""

from lib.sandbox.bubblewrap import SandboxProbe, probe, wrap
from lib.sandbox.policy import Access, Places, Policy, granted_paths, policy_of, programs_on
from lib.sandbox.scratch import drop_scratch, make_scratch, scratch_of

__all__ = [
    "Access",
    "Places",
    "Policy",
    "SandboxProbe",
    "drop_scratch",
    "granted_paths",
    "make_scratch",
    "policy_of",
    "probe",
    "programs_on",
    "scratch_of",
    "wrap",
]

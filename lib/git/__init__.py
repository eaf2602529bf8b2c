"""The only user of git: worktrees, snapshots, merging in memory, landing, rescue. All go through `run.git`."""

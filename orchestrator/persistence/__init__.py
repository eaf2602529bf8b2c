"""The run where it is kept: the run database, state.json, checkpoints, and the folders that they need."""

"""The state machine: what was seen becomes events and jobs, and events change a run. Pure, all of it."""

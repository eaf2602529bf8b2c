"""The state of a run for people and pages: one reader, one view, and the screens that show it."""

"""Jobs that are processes: contained, launched, watched, measured, stopped, and what their end means."""

"""Files that others write as well: replaced as a whole, read safely, removed, watched."""

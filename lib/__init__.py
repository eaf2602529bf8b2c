"""What Relay stands on: it knows no particular phase and never imports the layers above it."""

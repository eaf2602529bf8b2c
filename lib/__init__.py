"""The foundation of Relay: it knows no particular phase and never imports the layers above it."""

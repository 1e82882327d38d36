"""The pure core: what a call is and what is decided about it. No I/O, no clock, no settings."""

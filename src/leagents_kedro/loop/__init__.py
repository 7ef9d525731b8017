"""What drives and watches cycles: the session, the hooks between cycles, and what they need."""

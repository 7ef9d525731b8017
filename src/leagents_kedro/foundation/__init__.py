"""What every wing stands on: durable files, findings, names, seeds, secrets, and what others wrote."""

"""What the ledger says: runs, cycles, answers of people, their status and replay; no Kedro."""

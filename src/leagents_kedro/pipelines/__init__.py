"""The stages of the loop, one package each, and their sum, the cycle."""

"""The gate: from recorded paired outcomes to a verdict, by exact tests on integer counts.

A pure function of the records: no clock, no random numbers, no input or output. `rules` is what is demanded,
`evidence` what recorded outcomes say, `sequential` the comparison, look by look, and `verdict` the decision.
"""

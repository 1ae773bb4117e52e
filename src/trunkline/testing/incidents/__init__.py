"""Public incidents of other systems, replayed against whole calls of ours: see docs/incidents.md.

`files` reads and checks them, `replay` stages a call twice, once with the faults and once without,
`judge` compares the two tapes with what the file says must happen.
"""

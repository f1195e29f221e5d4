"""Picks the implementations and puts the program together. The only modules that know them all.

`storage` and `core` are what every process stands on, `parts` adds the services; `program` serves, `consuming` ingests,
`watches` is the process beside either, `care` what else the command line does. Each loads only what it needs.
"""

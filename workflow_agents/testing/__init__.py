"""For users' tests: a scripted model, an engine on a virtual clock, faults."""

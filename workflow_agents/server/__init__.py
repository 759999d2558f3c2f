"""The REST API of a QStash-compatible server: HTTP in, calls of the engine out, nothing more."""

"""Models: how a turn becomes a provider's request, and its reply a message."""

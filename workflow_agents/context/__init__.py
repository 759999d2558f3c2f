"""What a workflow function sees, and how an invocation of it runs."""

"""Other people's agents and SDKs on durable runs: one argument each."""

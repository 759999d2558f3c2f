"""Rules: pure functions and values, without I/O, clock or randomness of their own."""

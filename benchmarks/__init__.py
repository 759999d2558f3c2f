"""What the embedded engine costs, beside the least that SQLite allows: `python -m benchmarks`."""

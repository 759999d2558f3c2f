"""Runs, deliveries, timers, retries, flow control, waiters, dead letters."""

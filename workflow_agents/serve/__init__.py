"""Workflows behind routes, and the embedded engine as users hold it."""

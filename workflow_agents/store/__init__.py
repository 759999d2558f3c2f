"""Persistence behind one small interface."""

"""Simulations make things fail by the thousand."""

import pytest


@pytest.fixture(autouse=True)
def _nothing_logged(nothing_logged: None) -> None:
    """In all of them."""

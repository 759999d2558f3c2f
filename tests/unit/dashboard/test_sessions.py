"""Cookies of sessions: nobody else can make one, and their time passes."""

from hypothesis import given
from hypothesis import strategies as st

from workflow_agents.dashboard.sessions import Session, from_cookie, to_cookie

SECRET = b"s" * 32
SESSION = Session("ada", may_change=False, until=100)


def test_a_session_is_read_back_until_its_time_is_over() -> None:
    cookie = to_cookie(SESSION, SECRET)
    assert from_cookie(cookie, SECRET, 99) == SESSION
    assert from_cookie(cookie, SECRET, 100) is None
    assert from_cookie(cookie, b"t" * 32, 99) is None


@given(st.text(max_size=40), st.integers(0, 200))
def test_nothing_that_was_not_signed_here_is_one(text: str, place: int) -> None:
    cookie = to_cookie(SESSION, SECRET)
    changed = cookie[: place % len(cookie)] + text
    assert changed.startswith(cookie) or from_cookie(changed, SECRET, 0) is None

"""Where the engine may call: decisions over addresses, and requests that must not arrive."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.engine.corpora import OUTSIDE, UNUSABLE, V4_INSIDE, V6_INSIDE
from workflow_agents.engine.egress import (
    Address,
    EgressPolicy,
    Mode,
    blocked,
    checked_url,
    is_surely_here,
    networks,
)
from workflow_agents.errors import ConfigurationError, RemoteError

PUBLIC = EgressPolicy("public")
LOOPBACK = EgressPolicy("loopback")


@pytest.mark.parametrize("text", [*V4_INSIDE, *V6_INSIDE])
def test_what_is_not_the_internet_is_blocked(text: str) -> None:
    assert blocked(ip_address(text), PUBLIC)
    assert blocked(ip_address(text), EgressPolicy("open")) is None


@pytest.mark.parametrize("text", V4_INSIDE)
def test_it_is_blocked_in_every_form_that_embeds_it(text: str) -> None:
    number = int(IPv4Address(text))
    for prefix, shift in (
        ("::", 0),
        ("::ffff:0:0", 0),
        ("::ffff:0:0:0", 0),
        ("64:ff9b::", 0),
        ("64:ff9b:1::", 0),
        ("2002::", 80),
        ("2001::", 64),
    ):
        address = IPv6Address(int(IPv6Address(prefix)) | number << shift)
        assert blocked(address, PUBLIC), address


@pytest.mark.parametrize("text", OUTSIDE)
def test_the_internet_is_not_blocked(text: str) -> None:
    assert blocked(ip_address(text), PUBLIC) is None
    assert blocked(ip_address(text), LOOPBACK) is None


@pytest.mark.parametrize("text", [*V4_INSIDE, *V6_INSIDE])
def test_development_may_call_its_own_machine_and_nothing_beside_it(text: str) -> None:
    own = text.startswith("127.") or text in {"::1", "::ffff:127.0.0.1"}

    assert (blocked(ip_address(text), LOOPBACK) is None) is own


def not_reachable(address: Address) -> bool:
    """What `ipaddress` says, and what it leaves out."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    left_out = (
        *("224.0.0.0/4", "192.88.99.0/24", "168.63.129.16/32", "100.64.0.0/10"),
        *("ff00::/8", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "fec0::/10"),
        *("5f00::/16", "3fff::/20", "100::/64", "2001::/32", "::/96"),
    )
    return (
        not address.is_global
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or any(address in ip_network(network) for network in left_out)
    )


near = st.sampled_from([int(ip_address(text)) for text in (*V6_INSIDE, *OUTSIDE) if ":" in text])
addresses = st.one_of(
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    st.ip_addresses(v=4).map(lambda a: IPv6Address(f"::ffff:{a}")),
    st.ip_addresses(v=4).map(lambda a: IPv6Address(f"64:ff9b::{a}")),
    st.builds(
        lambda base, bits: IPv6Address((base ^ bits) % 2**128), near, st.integers(0, 2**128 - 1)
    ),
    st.builds(
        lambda base, distance: IPv6Address((base + distance) % 2**128),
        near,
        st.integers(-3, 3),
    ),
    st.sampled_from([ip_address(text) for text in (*V4_INSIDE, *OUTSIDE)]),
)


@given(addresses)
@example(IPv4Address("168.63.129.16"))
def test_nothing_that_is_not_globally_reachable_is_let_through(address: Address) -> None:
    if not_reachable(address):
        assert blocked(address, PUBLIC), address


@given(addresses, st.sampled_from(["loopback", "public"]))
def test_what_is_allowed_is_no_more_than_what_is_named(address: Address, mode: Mode) -> None:
    policy = EgressPolicy(mode, allow_networks=networks(["10.0.0.0/8", "fd00::/8"]))
    if blocked(address, policy) is None and blocked(address, EgressPolicy(mode)) is not None:
        plain = getattr(address, "ipv4_mapped", None) or address
        assert any(plain in network for network in policy.allow_networks), address


@pytest.mark.parametrize(
    ("allowed", "address", "passes"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", True),
        ("10.0.0.0/8", "172.16.0.1", False),
        ("10.0.0.0/8", "64:ff9b::10.1.2.3", False),
        ("10.0.0.0/8", "2002:a01:203::", False),
        ("10.0.0.0/8", "::10.1.2.3", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("fd00::/8", "fd12::1", True),
        ("fd00::/8", "fd00:ec2::254", False),
        ("fd00:ec2::254", "fd00:ec2::254", True),
        ("169.254.0.0/16", "169.254.1.1", True),
        ("169.254.0.0/16", "169.254.169.254", False),
        ("169.254.169.254/32", "169.254.169.254", True),
        ("0.0.0.0/0", "169.254.169.254", False),
        ("64:ff9b::/96", "64:ff9b::8.8.8.8", True),
        ("64:ff9b::/96", "64:ff9b::10.0.0.1", False),
        ("64:ff9b::/96", "64:ff9b::169.254.169.254", False),
    ],
)
def test_networks_that_are_allowed(allowed: str, address: str, passes: bool) -> None:
    policy = EgressPolicy("public", allow_networks=networks([allowed]))

    assert (blocked(ip_address(address), policy) is None) is passes


@pytest.mark.parametrize("text", ["10.0.0.1/8", "ten", "", "10.0.0.0/33", "http://10.0.0.0"])
def test_a_network_that_is_none(text: str) -> None:
    with pytest.raises(ConfigurationError, match="WA102") as wrong:
        networks([text])
    assert "expected a network" in str(wrong.value)


def test_what_is_surely_this_machine() -> None:
    here = ["127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "::", "::1", "::ffff:127.0.0.1"]

    assert all(is_surely_here(ip_address(text)) for text in here)
    assert not any(is_surely_here(ip_address(text)) for text in ("10.0.0.1", "8.8.8.8", "fe80::1"))


# URLs.


@pytest.mark.parametrize("url", UNUSABLE)
def test_urls_that_no_engine_calls(url: str) -> None:
    with pytest.raises(RemoteError, match="WA302") as refused:
        checked_url(url)
    assert url not in str(refused.value) or len(url) < 9


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://127.0.0.1/", "127.0.0.1"),
        ("http://\uff11\uff12\uff17.0.0.1/", "127.0.0.1"),
        ("http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/", "127.0.0.1"),
        ("http://127\u30020\u30020\u30021/", "127.0.0.1"),
        ("http://127\uff0e0\uff0e0\uff611/", "127.0.0.1"),
        ("http://LOCALHOST/", "localhost"),
        ("http://\uff4c\uff4f\uff43\uff41lhost/", "localhost"),
        ("http://\u24db\u24de\u24d2\u24d0lhost/", "localhost"),
        ("http://b\u00fccher.example/", "xn--bcher-kva.example"),
        ("http://xn--bcher-kva.example./", "xn--bcher-kva.example."),
        ("http://my_service:8080/", "my_service"),
        ("http://[::1]/", "::1"),
        ("http://[::FFFF:127.0.0.1]:80/", "::ffff:127.0.0.1"),
        ("HTTP://Example.COM/", "example.com"),
        ("http://example.com#@127.0.0.1/", "example.com"),
        ("http://example.com?@127.0.0.1/", "example.com"),
        ("http://example.com/@127.0.0.1/", "example.com"),
    ],
)
def test_hosts_as_they_are_resolved(url: str, host: str) -> None:
    assert checked_url(url).host == host


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_is_refused(text: str) -> None:
    for url in (text, f"http://{text}", f"http://a/{text}", f"http://[{text}]/"):
        try:
            checked = checked_url(url)
        except RemoteError:
            continue
        assert checked.host.isascii()
        assert (checked.path + checked.query).isascii()
        assert not set(checked.host + checked.path + checked.query) & set("\r\n\x00 ")

"""The options of a run: how it is retried, limited, named and told about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.retry import DEFAULT_RETRIES, RetryPolicy, delay_of, validate_retries
from workflow_agents.protocol.codec import is_text

if TYPE_CHECKING:
    from workflow_agents.core.flow_control import FlowControl


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What was asked for a run. None: the workflow's own, then the default.

    Attributes:
        retries: of each step and of the function itself; default 3.
        retry_delay: an expression in milliseconds.
        flow_control: a key whose limits every invocation of the run waits for.
        labels: found in lists and logs.
        failure_url: is sent a POST when the run has failed.
        redact: what logs do not show: {"body": True, "header": True or names}.
        headers: what the workflow sees as its request's headers.
        depth: how many runs above this one invoked each other.
        url: where the run was started from, as the workflow sees it.
        origin: the first of the runs that were resumed one after the other; None: this one.
        checkpoints: its function is called elsewhere, and what that comes to is sent here.
        asks: what a fork asks models otherwise, by the name of the agent; see `model_asks`.
    """

    retries: int | None = None
    retry_delay: str | None = None
    flow_control: "FlowControl | None" = None
    labels: tuple[str, ...] = ()
    failure_url: str | None = None
    redact: Mapping[str, Any] | None = None
    headers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    depth: int = 0
    url: str | None = None
    origin: str | None = None
    checkpoints: bool = False
    asks: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def checked(
        cls,
        *,
        retries: int | None = None,
        retry_delay: str | None = None,
        flow_control: "FlowControl | None" = None,
        label: str | Sequence[str] | None = None,
        failure_url: str | None = None,
        redact: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        url: str | None = None,
    ) -> "RunOptions":
        """Options as users give them.

        Raises:
            ConfigurationError: WA102, WA104, WA105, with the option named.
        """
        if retries is not None:
            validate_retries(retries)
        delay_of(retry_delay)
        checked_flow_control(flow_control)
        try:
            labels = (label,) if isinstance(label, str) else tuple(label or ())
        except TypeError:
            raise wrong_option("label", "text, or a list of texts", label) from None
        for one in labels:
            if not isinstance(one, str) or not one or not is_text(one):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
                raise wrong_option("label", "text", one)
        if failure_url is not None and not (
            isinstance(failure_url, str)  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            and failure_url.startswith(("http://", "https://"))
        ):
            raise wrong_option("failure_url", "an http or https address", failure_url)
        if redact is not None and not (
            isinstance(redact, Mapping) and set(redact) <= {"body", "header"}  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
        ):
            raise wrong_option("redact", "a dict with the keys 'body' and 'header'", redact)
        return cls(
            retries,
            retry_delay,
            flow_control,
            labels,
            failure_url,
            redact,
            dict(headers or {}),
            url=url,
        )

    def over(self, default: "RunOptions") -> "RunOptions":
        """These options, with what is not given taken from `default`."""
        return RunOptions(
            retries=default.retries if self.retries is None else self.retries,
            retry_delay=self.retry_delay or default.retry_delay,
            flow_control=self.flow_control or default.flow_control,
            labels=self.labels or default.labels,
            failure_url=self.failure_url or default.failure_url,
            redact=self.redact or default.redact,
            headers=self.headers or default.headers,
            depth=self.depth,
            url=self.url,
            origin=self.origin,
            checkpoints=self.checkpoints,
            asks=self.asks or default.asks,
        )

    @property
    def policy(self) -> RetryPolicy:
        """How steps and the function are retried."""
        retries = DEFAULT_RETRIES if self.retries is None else self.retries
        return RetryPolicy(retries, delay_of(self.retry_delay))

    def to_json(self) -> dict[str, Any]:
        """What was given, as JSON data."""
        data: dict[str, Any] = {}
        for option in fields(self):
            value = getattr(self, option.name)
            if value or (value == 0 and option.name == "retries"):
                data[option.name] = value
        if self.flow_control is not None:
            flow = self.flow_control
            data["flow_control"] = {"key": flow.key, "value": flow.to_value()}
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "RunOptions":
        """The reverse of `to_json`."""
        given = dict(data)
        if flow := given.get("flow_control"):
            from workflow_agents.core.flow_control import FlowControl

            given["flow_control"] = FlowControl.from_value(flow["key"], flow["value"])
        if "labels" in given:
            given["labels"] = tuple(given["labels"])
        return cls(**given)


DEFAULT_OPTIONS = RunOptions()


def checked_flow_control(flow_control: object) -> None:
    """Refuse what is no `FlowControl`.

    Raises:
        ConfigurationError: WA102.
    """
    if flow_control is None:
        return
    from workflow_agents.core.flow_control import FlowControl

    if not isinstance(flow_control, FlowControl):
        raise wrong_option("flow_control", "a FlowControl", flow_control)

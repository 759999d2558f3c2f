"""What an engine with a server has beside: messages and remote runs of the QStash protocol."""

from typing import TYPE_CHECKING

from workflow_agents.engine.credentials import Credentials
from workflow_agents.engine.messages import Messages
from workflow_agents.engine.sending import Sending

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine
    from workflow_agents.protocol.signature import SigningKeys


class Wire:
    """Loaded when it is first asked for: an engine without a server does without.

    Attributes:
        messages: takes them.
        sending: attempts to deliver them.
        credentials: keeps the keys and the token of the server.
        signing: the keys that deliveries are signed with; None: they are not.
    """

    def __init__(self, engine: "DurableEngine") -> None:
        self.messages = Messages(engine)
        self.sending = Sending(engine)
        self.credentials = Credentials(engine)
        self.signing: SigningKeys | None = None

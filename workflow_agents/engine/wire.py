"""What an engine with a server has beside: messages and remote runs of the QStash protocol."""

from typing import TYPE_CHECKING

from workflow_agents.engine.checkpoints import Checkpoints
from workflow_agents.engine.credentials import Credentials
from workflow_agents.engine.failure_visits import FailureVisits
from workflow_agents.engine.flow_keys import FlowKeys
from workflow_agents.engine.message_letters import MessageLetters
from workflow_agents.engine.message_logs import MessageLogs
from workflow_agents.engine.messages import Messages
from workflow_agents.engine.queues import Queues
from workflow_agents.engine.remote_ends import RemoteEnds
from workflow_agents.engine.remote_known import KnownRuns
from workflow_agents.engine.remote_letters import RemoteLetters
from workflow_agents.engine.remote_runs import RemoteRuns
from workflow_agents.engine.remote_waits import RemoteWaits
from workflow_agents.engine.schedules import Schedules
from workflow_agents.engine.sending import Sending
from workflow_agents.engine.url_groups import UrlGroups
from workflow_agents.engine.visit_lists import VisitLists
from workflow_agents.engine.visits import Visits

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine
    from workflow_agents.protocol.signature import SigningKeys


class Wire:
    """Loaded when it is first asked for: an engine without a server does without.

    Attributes:
        messages: takes them.
        sending: attempts to deliver them.
        letters: those of them that failed for good.
        logs: what happened to messages.
        queues: in which they wait for each other.
        url_groups: names for several destinations.
        schedules: publish messages again and again.
        flow_keys: limits that messages share.
        credentials: keeps the keys and the token of the server.
        runs: takes messages of remote runs.
        known: what never changes of remote runs.
        lists: what visits bring.
        visits: attempts to deliver messages of remote runs.
        checkpoints: runs whose endpoints answer their visits with checkpoints.
        failures: tells of failed remote runs.
        remote_ends: how remote runs end.
        waits: what remote runs wait for.
        run_letters: remote runs that failed.
        signing: the keys that deliveries are signed with; None: they are not.
    """

    def __init__(self, engine: "DurableEngine") -> None:
        self.messages = Messages(engine)
        self.sending = Sending(engine)
        self.letters = MessageLetters(engine)
        self.logs = MessageLogs(engine)
        self.queues = Queues(engine)
        self.url_groups = UrlGroups(engine)
        self.schedules = Schedules(engine)
        self.flow_keys = FlowKeys(engine)
        self.credentials = Credentials(engine)
        self.runs = RemoteRuns(engine)
        self.known = KnownRuns(engine)
        self.lists = VisitLists(engine)
        self.visits = Visits(engine)
        self.checkpoints = Checkpoints(engine)
        self.failures = FailureVisits(engine)
        self.remote_ends = RemoteEnds(engine)
        self.waits = RemoteWaits(engine)
        self.run_letters = RemoteLetters(engine)
        self.signing: SigningKeys | None = None

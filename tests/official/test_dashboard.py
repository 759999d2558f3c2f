"""A run of `@upstash/workflow-agents` on the dashboard: what was said in it."""

import os
from typing import Any

import httpx2
import pytest

from tests.official.site import Site, Stage
from workflow_agents.testing import ScriptedModel

pytestmark = pytest.mark.skipif(
    "OFFICIAL_SERVER_COMMAND" in os.environ, reason="another server has no dashboard of ours"
)


async def test_what_agents_of_the_js_sdk_say_is_read_as_a_conversation(site: Site) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        stage = Stage(site, "express", http)
        with ScriptedModel() as model:
            model.call_tools(("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"}))
            model.say("Rome is warmer.", usage=(40, 4))
            told = {"baseURL": model.base_url, "prompt": "Oslo or Rome?"}
            run_id = await stage.trigger("agent", told)
            await stage.result(run_id)
        page: dict[str, Any] = await stage.rest("GET", f"/ui/api/runs/{run_id}")
        assert page["agent"]
        talk = await stage.rest("GET", f"/ui/api/runs/{run_id}/conversation")
        assert [(said["role"], said["agent"], said["text"][:16]) for said in talk["items"]] == [
            ("system", "reporter", "You report the w"),
            ("user", "reporter", "Oslo or Rome?"),
            ("assistant", "reporter", ""),
            ("tool", "reporter", '{"celsius":3}'),
            ("tool", "reporter", '{"celsius":21}'),
            ("assistant", "reporter", "Rome is warmer."),
        ]
        calls = talk["items"][2]["calls"]
        assert [(name, given) for _, name, given in calls] == [
            ("weather", '{"city": "Oslo"}'),
            ("weather", '{"city": "Rome"}'),
        ]
        assert [said["answers"] for said in talk["items"][3:5]] == [call[0] for call in calls]
        last = talk["items"][-1]
        assert (last["model"], last["tokens"]) == ("scripted", [40, 4, 0])
        step = await stage.rest("GET", f"/ui/api/runs/{run_id}/steps/{last['step']}")
        assert step["spent"] == {"model": "scripted", "tokens": [40, 4, 0], "cost": None}

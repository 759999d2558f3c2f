"""Where in a function a step is asked for."""

from typing import Any

from workflow_agents.dashboard.code_places import place_of


async def workflow(context: Any) -> Any:
    await context.run("first", print)
    for number in range(3):
        await context.run(f"page {number} of 3", print)


def test_the_line_is_found_by_the_name_that_is_written_there() -> None:
    first, page = place_of(workflow, "first"), place_of(workflow, "page 2 of 3")
    assert first is not None
    assert page is not None
    assert first.text == 'await context.run("first", print)'
    assert (page.line, page.exact) == (first.line + 2, True)
    assert first.handler.endswith("test_code_places.workflow")
    assert first.file.endswith("test_code_places.py")


def test_a_name_that_is_made_elsewhere_leads_to_the_function() -> None:
    found = place_of(workflow, "another")
    assert found is not None
    assert (found.text, found.exact) == ("async def workflow(context: Any) -> Any:", False)


def test_what_has_no_source_has_no_place() -> None:
    assert place_of(print, "first") is None
    assert place_of(eval("lambda context: None"), "first") is None

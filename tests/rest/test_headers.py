"""Each header has the meaning that the documentation tells."""

import pytest

from tests.rest.delivered_headers import OF_ANSWERS, OF_DELIVERIES, OF_VISITS
from tests.rest.message_headers import OF_MESSAGES
from tests.rest.place import Place
from tests.rest.run_headers import AGAIN, OF_RUNS
from tests.rest.trials import Header, Trial


def name_of(row: Header) -> str:
    return f"{row.name}: {row.value}"


@pytest.mark.parametrize("row", OF_MESSAGES.rows, ids=name_of)
def test_of_a_message(place: Place, row: Header) -> None:
    row.check(Trial(place, row.name, row.value))


@pytest.mark.parametrize("row", OF_RUNS.rows, ids=name_of)
def test_of_a_run(place: Place, row: Header) -> None:
    row.check(Trial(place, row.name, row.value))


@pytest.mark.parametrize("row", AGAIN.rows, ids=name_of)
def test_of_a_run_that_is_begun_again(place: Place, row: Header) -> None:
    row.check(Trial(place, row.name, row.value))


@pytest.mark.parametrize("row", OF_DELIVERIES.rows, ids=name_of)
def test_of_a_delivery(place: Place, row: Header) -> None:
    row.check(Trial(place, row.name, row.value))


@pytest.mark.parametrize("row", OF_VISITS.rows, ids=name_of)
def test_of_a_visit(place: Place, row: Header) -> None:
    row.check(Trial(place, row.name, row.value))


@pytest.mark.parametrize("row", OF_ANSWERS.rows, ids=name_of)
def test_of_an_answer(place: Place, row: Header) -> None:
    row.check(Trial(place, row.name, row.value))


def test_a_header_counts_before_the_parameter_of_its_name(place: Place) -> None:
    trial = Trial(place, "Upstash-Method", "PUT")
    trial.publish(url=f"{trial.url()}?upstash-method=PATCH")
    trial.place.done("POST", f"/v2/publish/{trial.url()}?upstash-method=PATCH")
    assert [request.method for request in trial.came(2)] == ["PUT", "PATCH"]

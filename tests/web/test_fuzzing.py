"""The API against its own description, and the pages against any text in their addresses."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from reseen.web import api
from reseen.web.app import create_app

HERE = {"host": "localhost"}
IDS = ("north/ada", "south/ada", "south/eve")
OPERATIONS = [(route.path, method) for route in api.router.routes for method in route.methods]
PAGES = ("/tracklets", "/tracklet", "/compare", "/forget", "/labels", "/pictures", "/about")

fuzzed = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=HealthCheck
)


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_any_request_gets_an_answer_that_is_described(gallery, path, method, mode):
    app = create_app(gallery)
    described = schemathesis.openapi.from_asgi("/api/openapi.json", app, headers=HERE)
    operation = described[path][method]
    if mode.is_negative and not (operation.query or operation.body):
        pytest.skip("it takes nothing that could be wrong")

    @fuzzed
    @given(operation.as_strategy(mode), st.sampled_from([None, *IDS]))
    def ask(case, known):
        if known and mode.is_positive:
            with_known_tracklets(case, known)
        # A description cannot say that bytes must be a picture, or two ids be different.
        case.call_and_validate(headers=HERE, excluded_checks=[positive_data_acceptance])

    ask()


def with_known_tracklets(case, known):
    """Ask for something that is there: drawn ids never are."""
    if "id" in (case.query or {}):
        case.query["id"] = known
    if isinstance(case.body, dict) and "match" in case.body:
        case.body |= {"query": known, "match": IDS[0]}


@pytest.mark.parametrize("path", PAGES)
def test_no_address_breaks_a_page(client, path):
    values = st.text(max_size=30) | st.integers().map(str) | st.floats().map(str)
    names = (
        "id",
        "match",
        "model",
        "camera",
        "start",
        "end",
        "own_camera",
        "at_least",
        "k",
        "page",
    )
    asked = st.dictionaries(st.sampled_from(names), values)

    @fuzzed
    @given(asked, st.sampled_from([{}, {"id": IDS[0], "match": IDS[1]}]))
    def ask(asked, known):
        answer = client.get(path, params=asked | known)
        assert answer.status_code in (200, 400, 404, 422)
        assert answer.headers["content-type"].startswith("text/html")

    ask()


@pytest.mark.parametrize("path", ["/tracklet", "/compare", "/forget"])
def test_no_form_breaks_a_page(client, path):
    names = st.sampled_from(("id", "match", "same", "place", "model"))
    form = st.dictionaries(names, st.text(max_size=30) | st.sampled_from(["yes", "1"]))

    @fuzzed
    @given(form)
    def post(form):
        asked = {"id": IDS[0], "match": IDS[1]}
        assert client.post(path, params=asked, data=form).status_code in (303, 400, 404, 422)

    post()

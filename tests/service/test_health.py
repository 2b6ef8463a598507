"""How the cameras are doing, as other programs read it."""

import re
import socket
import urllib.request

import pytest
from starlette.testclient import TestClient

from reseen.errors import ReseenError
from reseen.service.health import answering, application, metrics
from reseen.service.state import CameraState
from tests.service.states import HALL

DOOR = CameraState(name="door", source="/v.mp4", state="connecting", since=1000.0)


def test_metrics_are_prometheus_text():
    text = metrics([HALL, DOOR], 1102.5)
    samples = dict(re.findall(r"^(\S+\{\S+\}) (\S+)$", text, re.MULTILINE))
    assert samples == {
        'reseen_camera_up{camera="hall"}': "1",
        'reseen_camera_up{camera="door"}': "0",
        'reseen_camera_last_frame_age_seconds{camera="hall"}': "2.5",
        'reseen_camera_frames_total{camera="hall"}': "27",
        'reseen_camera_frames_total{camera="door"}': "0",
        'reseen_camera_skipped_frames_total{camera="hall"}': "2",
        'reseen_camera_skipped_frames_total{camera="door"}': "0",
        'reseen_camera_reconnects_total{camera="hall"}': "3",
        'reseen_camera_reconnects_total{camera="door"}': "0",
        'reseen_camera_restarts_total{camera="hall"}': "1",
        'reseen_camera_restarts_total{camera="door"}': "0",
        'reseen_camera_people_total{camera="hall"}': "4",
        'reseen_camera_people_total{camera="door"}': "0",
    }
    typed = re.findall(r"^# TYPE (\S+) (gauge|counter)$", text, re.MULTILINE)
    assert {name for name, _ in typed} == {sample.partition("{")[0] for sample in samples}
    assert text.endswith("\n")


def test_health_is_bad_while_a_camera_does_not_run():
    states = [HALL]
    client = TestClient(application(lambda: states))
    assert (client.get("/healthz").status_code, client.head("/healthz").status_code) == (200, 200)
    states.append(DOOR)
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json() == {"cameras": {"hall": "running", "door": "connecting"}}
    assert client.get("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")


def test_it_is_answered_while_cameras_are_watched():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        answering(f"127.0.0.1:{port}", lambda: [HALL]),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer,
    ):
        assert b'reseen_camera_up{camera="hall"} 1\n' in answer.read()
    with socket.create_server(("127.0.0.1", port)):
        pass  # it is free again


@pytest.mark.parametrize("address", ["9100", "127.0.0.1:", "127.0.0.1:many", "127.0.0.1:99999"])
def test_a_wrong_address_is_one_line(address):
    with pytest.raises(ReseenError, match="cannot listen at"), answering(address, list):
        pass

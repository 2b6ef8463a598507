"""How a camera of several tests is doing."""

from reseen.service.state import CameraState

HALL = CameraState(
    name="hall",
    source="rtsp://10.0.0.7/live",
    state="running",
    since=1000.0,
    last_frame=1100.0,
    frames=27,
    skipped=2,
    reconnects=3,
    restarts=1,
    people=4,
    people_per_hour=((0.0, 1), (3600.0, 3)),
)

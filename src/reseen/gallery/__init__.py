"""Tracklets to a found person: embedded, searched, calibrated, forgotten."""

"""The gallery as pages and API."""

"""The gallery as a web page for people and as an API for programs."""

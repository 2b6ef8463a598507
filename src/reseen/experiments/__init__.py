"""The paper's tables, and the demo."""

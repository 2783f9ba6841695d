"""The gate's result for people and machines: terminal, Markdown, GitHub, JUnit."""

"""What a gate found, for people and for machines: terminal, Markdown, GitHub, JUnit."""

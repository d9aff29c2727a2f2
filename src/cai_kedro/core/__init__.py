"""Plain Python that every other room builds on: tables, conversations, prompts, principles, seeds."""

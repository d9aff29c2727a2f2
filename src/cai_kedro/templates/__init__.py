"""What several pipelines share: node functions of two stages, and pipelines that are instantiated more than once."""

"""How asks are written down for a model: one layout per model, kept beside its weights."""

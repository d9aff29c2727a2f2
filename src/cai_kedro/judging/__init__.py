"""Judgements of models: which of two answers is better."""

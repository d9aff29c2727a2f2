"""One stage of the method each; the registry puts them together."""

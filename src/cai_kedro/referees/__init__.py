"""Referees and judges that need more than the core: the catalog names them by the kind of a dataset."""

"""Referees that are trained: the catalog names them by the kind of a `RefereeDataset`."""

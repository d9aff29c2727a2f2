"""The numbers of the evaluation: pure functions on arrays and tables, each number with its interval and its n."""

"""What a run will ask and cost, found out on a few rows before it starts."""

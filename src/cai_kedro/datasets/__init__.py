"""What the catalog reads and writes; named only by YAML. One class a file."""

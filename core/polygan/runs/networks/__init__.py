"""Which networks a run works with: those that training starts from, and others of a run to generate from."""

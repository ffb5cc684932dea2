"""The training loop as a generator of records, its step, its schedules and the state that a resume needs."""

"""Where every tensor's bytes and every operation of a run are counted: slow, so never timed."""

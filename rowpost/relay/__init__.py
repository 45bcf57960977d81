"""A batch of the trigger: claim, post, settle."""

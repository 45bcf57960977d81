"""What a crash, a stalled trigger or the change retention leaves behind: find it, tell it, hand it to recovery."""

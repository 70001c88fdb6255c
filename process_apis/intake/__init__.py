"""The transactional lane: receive recorded time, judge it in micro-batches, tell its fate."""

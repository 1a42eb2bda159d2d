"""The processes that do the work: RQ workers, one per queue, and the clock."""

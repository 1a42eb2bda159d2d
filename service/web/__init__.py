"""Pages and addresses: reads, calls one action, answers. Nothing here commits."""

"""Everything that speaks to a provider: what leaves (texts, emails) and how what comes back is read."""

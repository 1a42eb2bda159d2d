"""The verbs: plain typed functions. The only code that commits."""

"""Hope stories between members: asked of their author, read on request, taken back, and how they helped."""

"""The pipeline: the only room that composes the others."""

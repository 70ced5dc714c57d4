"""Everything known about a collection, in SQL."""

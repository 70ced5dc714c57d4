"""The steps that bring a database from one shape of its tables to the next, by Alembic.

``python -m db.migrations "what changes"`` writes the next step from the difference between the last one and
the tables declared; read it and correct it by hand before it is committed.
"""

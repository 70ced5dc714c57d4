"""What a collection holds, counted: figures, charts and a page, for the team or for everybody."""

"""What a transcript is about: sentences as vectors, passages, and the codebook's themes."""

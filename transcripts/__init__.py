"""Words, time and meaning: pure values in, pure values out."""

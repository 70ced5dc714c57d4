"""The making of the built-in checkpoint: text, speech, windows, training and evaluation. Not shipped in the wheel."""

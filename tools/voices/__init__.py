"""How recordings change what a voice sounds like to the encoder, learned from synthetic voices."""

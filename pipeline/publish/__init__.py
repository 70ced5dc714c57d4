"""Approved clips rendered into a Hugo site: page bundles, a shortcode, an index by theme, and a manifest."""

"""The editor in the browser: served on this machine only, to people who correct, name and choose."""

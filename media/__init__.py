"""Media files and ffmpeg: paths and integers in, files and measurements out."""

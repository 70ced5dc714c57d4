"""The verbs of the command line, one thin file each: parse, one call, print."""

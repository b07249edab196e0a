"""The fork server that contains programs: standard library only, one layer of containment a file.

``start`` is run as a script in a clean environment; everything else is imported there.
"""

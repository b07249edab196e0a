"""What one update of a policy does to the probabilities of replies and tokens, made visible.

``bakeoff explain`` makes real updates of the tiny model and writes down what moved: as a table in
the terminal, as ``explain.md`` and as figures. Whatever it says of an update is made of that
update's numbers.
"""

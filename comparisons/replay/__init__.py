"""``bakeoff replay``: what each algorithm makes of the same samples.

Rollouts are recorded once (``recording``, made by ``rollouts``), each algorithm's gradient on them
is taken (``gradients``, ``measuring``), and what the gradients of several replicates say of noise
and signal is estimated (``estimates``) and written down (``tables``, ``figures``, ``reading``).
"""

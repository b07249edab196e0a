"""The prime that values are taken modulo, and powers of powers modulo a number."""

from __future__ import annotations

import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.rewards.math.equality.modular import PRIME
from bakeoff.rewards.math.equality.towers import totient, tower
from bakeoff.rewards.math.expressions import parse


def test_the_prime_is_prime_and_four_times_a_prime_and_one() -> None:
    for number in (PRIME, (PRIME - 1) // 4):
        assert sympy.isprime(number)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.integers(2, 9), st.integers(2, 6), st.integers(2, 6), st.integers(2, 10**6))
def test_a_tower_has_the_residue_of_its_value(a: int, b: int, c: int, modulus: int) -> None:
    node = parse(f"({a}^{{{b}^{{{c}}}}})+{b}*{c}")
    exact = a ** (b**c) + b * c

    # an exponent may be replaced by a number that is the same modulo the totient, and large enough
    assert pow(2, tower(node, totient(modulus)), modulus) == pow(2, exact, modulus)

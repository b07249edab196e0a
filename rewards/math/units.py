"""Units of measurement, as they stand after a number: read from tokens, and compared.

Known units convert into each other (100 cm = 1 m). Other words ("5 apples") name a unit of their
own. A word that hedges or denies ("3 maybe") is no unit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from bakeoff.rewards.math.answers import Unit
from bakeoff.rewards.math.lexing import Token
from bakeoff.rewards.math.tree import number

_KNOWN: dict[str, tuple[str, str]] = {
    "metre": ("1", "m meter meters metre metres"),
    "metre/100": ("0.01", "cm centimeter centimeters centimetre centimetres"),
    "metre/1000": ("0.001", "mm millimeter millimeters millimetre millimetres"),
    "metre*1000": ("1000", "km kilometer kilometers kilometre kilometres kms"),
    "metre/inch": ("0.0254", "inch inches"),
    "metre/foot": ("0.3048", "ft foot feet"),
    "metre/yard": ("0.9144", "yd yds yard yards"),
    "metre/mile": ("1609.344", "mi mile miles"),
    "gram": ("1", "g gram grams"),
    "gram*1000": ("1000", "kg kgs kilogram kilograms"),
    "gram/1000": ("0.001", "mg milligram milligrams"),
    "gram/pound": ("453.59237", "lb lbs pound pounds"),
    "gram/ounce": ("28.349523125", "oz ounce ounces"),
    "second": ("1", "s sec secs second seconds"),
    "second/1000": ("0.001", "ms millisecond milliseconds"),
    "second*60": ("60", "min mins minute minutes"),
    "second*3600": ("3600", "h hr hrs hour hours"),
    "second*86400": ("86400", "day days"),
    "second*604800": ("604800", "week weeks"),
    "month": ("1", "month months"),
    "month*12": ("12", "yr yrs year years"),
    "litre": ("1", "L l liter liters litre litres"),
    "litre/1000": ("0.001", "mL ml milliliter milliliters millilitre millilitres"),
    "gallon": ("1", "gal gallon gallons"),
    "gallon/4": ("0.25", "qt quart quarts"),
    "gallon/8": ("0.125", "pt pint pints"),
    "dollar": ("1", "$ dollar dollars usd USD bucks"),
    "dollar/100": ("0.01", "¢ cent cents"),
    "euro": ("1", "€ euro euros EUR"),
    "sterling": ("1", "£ GBP"),
    "yen": ("1", "¥ yen JPY"),
    "rupee": ("1", "₹ rupee rupees INR"),
    "degree": ("1", "° degree degrees deg degs"),
    "radian": ("1", "rad rads radian radians"),
    "newton": ("1", "N newton newtons"),
    "joule": ("1", "J joule joules"),
    "joule*1000": ("1000", "kJ kilojoule kilojoules"),
    "watt": ("1", "W watt watts"),
    "watt*1000": ("1000", "kW kilowatt kilowatts"),
    "volt": ("1", "V volt volts"),
    "ampere": ("1", "A amp amps ampere amperes"),
    "ohm": ("1", "ohm ohms"),
    "hertz": ("1", "Hz hertz"),
    "kelvin": ("1", "K kelvin kelvins"),
    "celsius": ("1", "°C celsius"),
    "fahrenheit": ("1", "°F fahrenheit"),
    "mole": ("1", "mol mole moles"),
    "pascal": ("1", "Pa pascal pascals"),
    "person": ("1", "person persons people"),
    "": ("1", "unit units"),
}
_NAMES = {
    spelling: (Fraction(factor), re.split("[/*]", base)[0])
    for base, (factor, spellings) in _KNOWN.items()
    for spelling in spellings.split()
}
_RATES = {"mph": ("mile", "hour"), "kph": ("km", "hour"), "kmh": ("km", "hour"), "fps": ("ft", "s")}
_POWERS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3}
_NOT_UNITS = frozenset(
    "not no none nor never maybe perhaps probably possibly likely about roughly around either both except "
    "to through than less more least most unless wrong incorrect correct is are was be isn if then else "
    "but though guess between from until minus plus times over approx approximately true false yes "
    "nan null undefined instead rather also with without and or i think otherwise some any all "
    "inf infinity import eval exec print lambda mod modulo squared cubed factorial half halves third thirds "
    "quarter quarters".split()
)
MULTIPLES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9,
             "trillion": 10**12}  # fmt: skip
MAX_WORDS = 6


def unit(tokens: Sequence[Token], *, after_number: bool) -> Unit | None:
    """Return the unit that all of the tokens are, or ``None`` if they are none.

    Args:
        tokens: what follows a value.
        after_number: whether a number literal stands before; then a lone letter may be a unit.

    Example:
        >>> from bakeoff.rewards.math.lexing import tokens as lexed
        >>> unit(lexed("square cm"), after_number=True).base
        (('metre', 2),)
        >>> unit(lexed("m/s^2"), after_number=True).base
        (('metre', 1), ('second', -2))
        >>> unit(lexed("maybe"), after_number=True) is None
        True
    """
    bases: dict[str, int] = {}
    factor, side, waiting, words = Fraction(1), 1, 0, 0
    unknown: list[str] = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if token.text in ("/", "per") or (token.text == "a" and words and token.kind == "letters"):
            side = -1
            continue
        if token.text == "cdot":
            continue
        for word in _words(token, alone=len(tokens) == 1 or token.kind == "text"):
            words += 1
            if word is None or words > MAX_WORDS or word.lower() in _NOT_UNITS - _POWERS.keys():
                return None
            if word.lower() in _POWERS:
                if word.lower() in ("squared", "cubed") and bases:
                    last = list(bases)[-1]
                    bases[last] *= _POWERS[word.lower()]
                else:
                    waiting = _POWERS[word.lower()]
                continue
            if word == "per":
                side = -1
                continue
            for part, direction in _parts(word, side):
                known = _known(part)
                if known is None:
                    if len(part) < 3 or not after_number and token.kind != "text":
                        return None
                    unknown.append(_singular(part))
                    continue
                power = direction * (waiting or 1)
                position, power = _raised(tokens, position, power)
                factor *= known[0] ** power
                if known[1]:
                    bases[known[1]] = bases.get(known[1], 0) + power
            waiting = 0
    if unknown:
        bases[" ".join(unknown)] = side
    if not words:
        return None
    return Unit(number(factor), tuple(sorted(base for base in bases.items() if base[1])))


def _words(token: Token, *, alone: bool) -> list[str | None]:
    """Return the words of a token; ``[None]`` for a sign that no unit has."""
    if token.kind == "letters":
        if token.text == "in" and not alone:
            return [None]
        return [token.text]
    if token.kind == "text":
        words = re.findall(r"[A-Za-z]+|[^A-Za-z\s.]", token.text)
        return [word if word.isalpha() else ("per" if word == "/" else None) for word in words]
    if token.kind == "money":
        return [token.text]
    if token.kind == "command" and token.text == "degree":
        return ["°"]
    return [None]


def _parts(word: str, side: int) -> list[tuple[str, int]]:
    if word.lower() in _RATES:
        above, below = _RATES[word.lower()]
        return [(above, side), (below, -side)]
    return [(word, side)]


def _known(word: str) -> tuple[Fraction, str] | None:
    if word == "in":
        return _NAMES["inch"]
    return _NAMES.get(word) or (_NAMES.get(word.lower()) if len(word) > 2 else None)


def _singular(word: str) -> str:
    word = word.lower()
    for plural, single in (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("s", "")):
        if word.endswith(plural) and len(word) > len(plural) + 2 and not word.endswith("ss"):
            return word[: -len(plural)] + single
    return word


def _raised(tokens: Sequence[Token], position: int, power: int) -> tuple[int, int]:
    """Return where to go on after an exponent, and the power with it."""
    texts = [token.text for token in tokens[position : position + 5]]
    match texts:
        case ["^", "{", "-", digit, "}", *_] if digit.isdigit() and len(digit) == 1:
            return position + 5, -power * int(digit)
        case ["^", "{", digit, "}", *_] if digit.isdigit() and len(digit) == 1:
            return position + 4, power * int(digit)
        case ["^", digit, *_] if digit.isdigit() and len(digit) == 1:
            return position + 2, power * int(digit)
    return position, power


def compatible(left: Unit, right: Unit) -> bool:
    """Tell whether two units measure the same; one that says more ("right triangle") may.

    Example:
        >>> one = number(1)
        >>> compatible(Unit(one, (("right triangle", 1),)), Unit(one, (("triangle", 1),)))
        True
        >>> compatible(Unit(one, (("gram", 1),)), Unit(one, (("metre", 1),)))
        False
    """
    if left.base == right.base or not left.base or not right.base:
        return True
    if len(left.base) != 1 or len(right.base) != 1 or left.base[0][1] != right.base[0][1]:
        return False
    one, other = left.base[0][0].split(), right.base[0][0].split()
    return one[-1:] == other[-1:] and (len(one) == 1 or len(other) == 1)

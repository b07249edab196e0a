"""The units of measurement that are known: how they are spelt, and what they are made of."""

from __future__ import annotations

import re
from fractions import Fraction

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
    "gallon/16": ("0.0625", "cup cups"),
    "gallon/256": ("0.00390625", "tbsp tablespoon tablespoons"),
    "gallon/768": ("1/768", "tsp teaspoon teaspoons"),
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
    "person": ("1", "person persons people children men women"),
    "": ("1", "unit units"),
}
NAMES = {
    spelling: (Fraction(factor), re.split("[/*]", base)[0])
    for base, (factor, spellings) in _KNOWN.items()
    for spelling in spellings.split()
}
RATES = {"mph": ("mile", "hour"), "kph": ("km", "hour"), "kmh": ("km", "hour"), "fps": ("ft", "s")}
POWERS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3}
_REFUSED = """
    about all also alternative and any approx approximately are around base basis be between
    billion billionth both but candidate correct crore cubed doubled dozen eight eighteen eighth
    eighty either eleven eleventh else error eval except exec factorial false fifteen fifth
    fifty five forty four fourteen fourth from guess half halves hopefully hundred hundredth i
    if import incorrect inf infinity instead is isn lakh lambda least less likely maybe million
    millionth minus minuses mistake mod modulo more most nan negative never nine nineteen ninety
    ninth no none nor not nought null one option or other otherwise over percent percentage
    perhaps permille plus possibility possibly print probably quarter quarters rather reciprocal
    roughly seven seventeen seventh seventy six sixes sixteen sixth sixty some sorry squared ten
    tenth than then think third thirds thirteen thirtieth thirty though thousand thousandth
    three through times to trillion tripled true twelfth twelve twentieth twenty two undefined
    unless unsure until versus was with without wrong yes zero zillion
"""
NOT_UNITS = frozenset(_REFUSED.split())  # they hedge, deny, or calculate
QUALIFIERS = {"old", "long", "tall", "high", "wide", "deep", "away", "total", "each", "altogether"}
MULTIPLES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9,
             "trillion": 10**12}  # fmt: skip

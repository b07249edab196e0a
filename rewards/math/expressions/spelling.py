r"""One spelling for what mathematics spells in many ways: Unicode becomes LaTeX, once, up front.

What a sign looks like decides, not a Unicode normal form: NFKC would turn ``x²`` into ``x2``, and
look-alike letters of other alphabets into the ones that Python's own parser reads.
"""

from __future__ import annotations

import re

_SIGNS = {
    "\u2212\u2010\u2011\u2012\u2013\ufe63\uff0d": "-",
    "\u00d7\u00b7\u22c5\u2219\u2217\u2715\u2022": " \\cdot ",
    "\u00f7": " \\div ",
    "\u2044\u2215": "/",
    "\u00b1": " \\pm ",
    "\u2213": " \\mp ",
    "\u221e": " \\infty ",
    "\u03c0\U0001d70b": " \\pi ",
    "\u2264\u2a7d": " \\le ",
    "\u2265\u2a7e": " \\ge ",
    "\u2260": " \\ne ",
    "\u2248\u2243": " \\approx ",
    "\u2261": " \\equiv ",
    "\u2208": " \\in ",
    "\u222a": " \\cup ",
    "\u2229": " \\cap ",
    "\u2205\u00d8": " \\emptyset ",
    "\u2227": " \\wedge ",
    "\u2228": " \\vee ",
    "\u2216": " \\setminus ",
    "\u211d": " \\mathbb{R} ",
    "\u2124": " \\mathbb{Z} ",
    "\u2026\u22ef": " \\ldots ",
    "\u00b0\u02da\u00ba": "\\degree ",
    "\u2220": " \\angle ",
    "\u25b3": " \\triangle ",
    "\u230a": " \\lfloor ",
    "\u230b": " \\rfloor ",
    "\u2308": " \\lceil ",
    "\u2309": " \\rceil ",
    "\u27e8\u2329": " \\langle ",
    "\u27e9\u232a": " \\rangle ",
    "\u221b": "\\sqrt[3]",
    "\u221c": "\\sqrt[4]",
    "\u2211": " \\sum ",
    "\u220f": " \\prod ",
    "\u2032\u2019": "'",
    "\u201c\u201d": '"',
    "\u00a0\u2007\u2009\u200a\u202f\u2006\u2005\u2002\u2003\u2004\u205f\u3000": " ",
    "\u200b\u200c\u200d\u2060\ufeff\u00ad\u2061\u2062": "",
    "\uff0c\u3001": ",",
    "\u3002": ".",
    "\u00bd": "\\frac{1}{2}",
    "\u2153": "\\frac{1}{3}",
    "\u2154": "\\frac{2}{3}",
    "\u00bc": "\\frac{1}{4}",
    "\u00be": "\\frac{3}{4}",
    "\u2155": "\\frac{1}{5}",
    "\u2156": "\\frac{2}{5}",
    "\u2157": "\\frac{3}{5}",
    "\u2158": "\\frac{4}{5}",
    "\u2159": "\\frac{1}{6}",
    "\u215a": "\\frac{5}{6}",
    "\u2150": "\\frac{1}{7}",
    "\u215b": "\\frac{1}{8}",
    "\u215c": "\\frac{3}{8}",
    "\u215d": "\\frac{5}{8}",
    "\u215e": "\\frac{7}{8}",
    "\u2151": "\\frac{1}{9}",
    "\u2152": "\\frac{1}{10}",
}
_LETTERS = """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron _ rho
    varsigma sigma tau upsilon phi chi psi omega
"""
_GREEK = _LETTERS.split()
_TABLE = {ord(sign): latex for signs, latex in _SIGNS.items() for sign in signs}
_TABLE |= {0x3B1 + k: f" \\{name} " for k, name in enumerate(_GREEK) if name != "_"}
_TABLE |= {0xFF01 + k: chr(0x21 + k) for k in range(94) if 0xFF01 + k not in _TABLE}  # full width
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱˣʸ", "0123456789+-=()nixy")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₓₙₖₘ", "0123456789+-=()aexnkm")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱˣʸ]+")
_SUBSCRIPT = re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₓₙₖₘ]+")
_OVERLINED = re.compile("(?:[0-9][\u0305\u0304])+")
_ROOT = re.compile(r"√\s{0,3}([0-9]+(?:\.[0-9]+)?|[A-Za-z]|\\pi\b)")

_DEGREE = re.compile(r"\^\s{0,3}(?:\{\s{0,3})?\\circ\b(?:\s{0,3}\})?")
MANY_BRACKETS = 20
_SIGNS_IN_BRACES = re.compile(r"\\.|[{}()\[\],;]", re.DOTALL)
_TRAILING = re.compile(r"(?:\\[,;:! ]|~|\\q?quad(?![A-Za-z])|\s){1,40}\Z")
_STYLED = re.compile(
    r"\A(?:\\(?:displaystyle|textstyle|bf|rm|it|sf|large|Large|huge)(?![A-Za-z])\s{0,8}"
    r"|\\(?:boldsymbol|mathbf|bm)\s{0,8}(?=\{[^{}]*[^{}0-9A-Za-z+.,\s-])"
    r"|\\(?:text)?color\s{0,8}\{[^{}]*\}\s{0,8})"
)
_BRACED = re.compile(r"(?<![A-Za-z])\{([-+.:=<>])\}")  # braces that keep TeX from spacing a sign
_STYLE = r"\\(?:text|mathrm|textsuperscript)\{"
_ORDINAL = re.compile(
    rf"(?<=[0-9])(?:\^\{{{_STYLE}(?:st|nd|rd|th)\}}\}}|\^?{_STYLE}(?:st|nd|rd|th)\}}"
    r"|\^\{(?:st|nd|rd|th)\}|(?:st|nd|rd|th)(?![A-Za-z]))"
)
_TEMPERATURE = re.compile(r"\\degree\s{0,3}(?:\\(?:text|mathrm)\s?\{)?\s?([CF])(?![A-Za-z])\}?")
_SCALES = {"C": r"\text{ celsius}", "F": r"\text{ fahrenheit}"}
_RATE = re.compile(  # \frac{\text{miles}}{\text{hour}}
    rf"\\frac\s?\{{{_STYLE}([A-Za-z ]+)\}}\}}\s?\{{{_STYLE}([A-Za-z ]+)\}}(\^\d)?\}}"
)
_LETTER_TIMES = re.compile(r"(?<=[0-9 ])x(?= ?10 ?\^)")
_FRACTION = re.compile(r"\\[dtc]frac(?![A-Za-z])")


def normalised(text: str) -> str:
    r"""Return the text in ASCII LaTeX, as far as it has a spelling there.

    Example:
        >>> normalised("x² ≤ 2½·√3")
        'x^{2}  \\le  2\\frac{1}{2} \\cdot \\sqrt{3}'
    """
    if not text.isascii():
        text = _OVERLINED.sub(lambda run: f"\\overline{{{run[0][::2]}}}", text)
        text = _SUPERSCRIPT.sub(lambda run: f"^{{{run[0].translate(_RAISED)}}}", text)
        text = _SUBSCRIPT.sub(lambda run: f"_{{{run[0].translate(_LOWERED)}}}", text)
        text = text.translate(_TABLE)
        text = _ROOT.sub(r"\\sqrt{\1}", text).replace("√", "\\sqrt")
    if "x" in text:
        text = _LETTER_TIMES.sub(r"\\cdot ", text)
    if "\\" in text:
        text = _FRACTION.sub(r"\\frac", _DEGREE.sub(r"\\degree ", text))
        text = _TEMPERATURE.sub(lambda scale: _SCALES[scale[1]], text)
        text = _RATE.sub(r"\\text{\1} / \\text{\2}\3", text)
    if "{" in text:
        text = _BRACED.sub(r"\1", text)
    text = _ORDINAL.sub("", text)
    return text.strip()


def plain(text: str) -> str:
    r"""Return a text without style, and without braces or a great many brackets around all of it.

    Example:
        >>> plain(r"\displaystyle {x=5}\,"), plain(r"\color{red}{[1,2]}"), plain("{1,2}")
        ('x=5', '[1,2]', '{1,2}')
        >>> plain("(" * 800 + "8" + ")" * 800), plain("((1)+(2))")
        ('(8)', '((1)+(2))')
    """
    for _ in range(MANY_BRACKETS):
        before = text
        text = _STYLED.sub("", _TRAILING.sub("", text)).strip()
        if text.startswith("{") and text.endswith("}") and _is_one_group(text):
            text = text[1:-1].strip()
        if text == before:
            break
    return _peeled(text)


def _is_one_group(text: str) -> bool:
    """Tell whether braces are around all of a text, with no comma right inside."""
    depth = 0
    for match in _SIGNS_IN_BRACES.finditer(text):
        sign = match[0]
        depth += (sign in "{([") - (sign in "})]") if len(sign) == 1 else 0
        if (depth == 0 and match.end() < len(text)) or (depth == 1 and sign in (",", ";")):
            return False
    return depth == 0


def _peeled(text: str) -> str:
    opening = len(text) - len(text.lstrip("("))
    closing = len(text) - len(text.rstrip(")"))
    extra = min(opening, closing) - 1
    if extra < MANY_BRACKETS:
        return text
    inner, depth = text[extra:-extra], 0
    for sign in inner:
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            return text
    return inner


def unwrapped(text: str) -> str:
    r"""Return the text without what may surround an answer: ``$``, ``\(``, ``**`` and a period.

    Example:
        >>> [unwrapped(text) for text in ("**42**.", r"\( x+1 \)", "$$7$$", r"\$5")]
        ['42', 'x+1', '7', '\\$5']
    """
    text = text.strip()
    while True:
        before = text
        for opening, closing in (("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**")):
            size = len(opening)
            if opening == "**" and text.endswith("**") and text.count("**") % 2:
                text = text[:-2].rstrip()
            if len(text) > 2 * size and text.startswith(opening) and text.endswith(closing):
                if "$" in text[size:-size] and opening == "$" and text[1] != "$":
                    continue  # $5$ and $6$
                text = text[size:-size].strip()
        if text.endswith("\\") and not text.endswith("\\\\"):
            text = text[:-1].rstrip()
        if text.endswith((".", ",", ";", ":", "`")) and not text.endswith(("...", "\\,", "\\;")):
            text = text[:-1].rstrip()
        text = text.lstrip("`")
        if text == before:
            return text

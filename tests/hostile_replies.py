r"""What is thrown at the math checker: soup, nests, a million characters, huge values, code.

No digit 5 and no 7 stands alone in what is to be no answer 5 or 7.
"""

SOUP = r"""
    \frac \sqrt \sqrt[3] \left( \right) \left[ \right] \{ \} \pm \cdot \times \le \ge \in \cup \%
    \infty \pi \sin \log_ \ln \binom \text{ \mathrm{ \begin{pmatrix} \end{pmatrix} \\ & \sum_ \$
    \int_0^1 \lfloor \rfloor \overline{ \circ \boxed{ \fbox \emptyset \mathbb{R} \neq \bmod \pmod
    \dfrac \, \; \! \operatorname{ \lim_{x\to0} ( ) [ ] { } | ^ _ ! + - * / ** = < > , ; : # . ~ $
    0 1 2 7 10 0.5 1,000 1e9 x y i e n C cm or and ½ √ π ² − × ∞ ° ∪ ≤ ٣ 𝟗
"""  # noqa: RUF001 (look-alikes are the point)
TOKENS = SOUP.split()

HOLES = r"""
    \frac{A}{B} (A)^{B} A+B A-B A\cdotB (A)(B) \sqrt{A} \sqrt[B]{A} \sin(A) \ln(A) \log_{A}(B)
    |A| (A)! \binom{A}{B} \lfloorA\rfloor -A A\% (A,B) [A,B) \{A,B\} A,B A=B A<B A\pmB A\bmodB
    \sum_{k=1}^{A}B \begin{pmatrix}A&B\\B&A\end{pmatrix} \arctan(A) e^{A} A_B A^\circ \overline{A}
    \int_{0}^{A}B\,dx \max(A,B) \gcd(A,B) A\text{cm} \exp(A) \tan(A) A\cupB A\toB
"""
FORMS = HOLES.split()  # A and B are filled with expressions
LEAVES = ["0", "1", "2", "-3", "0.5", "10^9", "x", "y", "k", r"\pi", "e", "i", r"\infty", "97", ""]

NESTS = [
    *[("(", ")"), ("[", "]"), ("{", "}"), (r"\{", r"\}"), ("|", "|"), (r"\left(", r"\right)")],
    *[(r"\frac{1}{", "}"), (r"\frac{", "}{2}"), (r"\sqrt{", "}"), (r"\sqrt[3]{", "}"), ("-", "")],
    *[("x^{", "}"), ("x_{", "}"), (r"\sin(", ")"), (r"\log_{2}(", ")"), (r"\lfloor ", r"\rfloor")],
    *[(r"\text{", "}"), (r"\boxed{", "}"), (r"\mathbf{", "}"), (r"\overline{", "}"), ("(", "!)")],
    *[(r"\begin{pmatrix}", r"\end{pmatrix}"), (r"\binom{", "}{3}"), ("(1+", ")^2"), ("2^(", ")")],
    *[("sqrt(", ")"), ("", "!"), ("", r"\%"), ("(x+", ")"), ("1/(1+", ")"), ("$", "$")],
    *[(r"\(", r"\)"), ("<answer>", "</answer>"), ("(1,", ")"), (r"\{x,", r"\}")],
    *[(r"\left|", r"\right|"), (r"\begin{cases}", r"\end{cases}"), ("not ", ""), ("x=", "")],
]

REPEATED = [
    *[" ", "\n", "0", "9", "-", "+", "(", ")", "{", "}", "\\", "$", r"\boxed{", r"\boxed{5}", "^"],
    *["_", "!", ".", ",", "1,", "%", "x", r"\frac", r"\frac{", r"\sqrt", r"\left(", "&", r"\\"],
    *["<", "|", r"\text{", "the answer is ", "Answer: 5 ", "####", "<answer>", "</answer>", "1/"],
    *[r"\begin{matrix}", "or ", "and ", "\ud800", "½", "√", "\u0663", "1e", "'", "**", "5 ", "5or"],
    *["1,000,", "9.", r"\fbox", r"\boxed ", "a", "~", r"\,", "*", "[", "\x00", "²", "(1,2),", "\t"],
    *["=", "<think>", "</think>", "```", "\u200b", "e\u0301", "\r\n", r"\(", r"\]", "$$", "://"],
]

_TERMS = range(2, 300)
HUGE = [
    *["9**9**9**9", "9^{9^{9^{9}}}", "10^{10^{10}}", "10^{-10^{10}}", "2^" * 300 + "2", "(10^9)!"],
    *["1e999999999", "1e-999999999", "((9!)!)!", "3" + "!" * 2_000, "100000!", "99^{9999999}"],
    *[r"\binom{10^9}{5\cdot 10^8}", r"\binom{100000}{50000}", "C(10^9,9)", "factorial(10**8)/2"],
    *[r"\sum_{k=1}^{10^9} k^k", r"\sum_{k=1}^{\infty} k^{-k}", r"\prod_{k=1}^{10^9} k"],
    *[r"\int_0^1 x^{x^x} dx", r"\lim_{n\to\infty} n^{n^n}", r"\lfloor 10^{10^9} \pi \rfloor"],
    *[r"\pi^{\pi^{\pi^{\pi}}}", "e^{e^{e^{e^{e^{e}}}}}", r"\sin(10^{10^{10}})", "x^" * 200 + "x"],
    *[r"\tan(\tan(\tan(10^{300})))", "(1+x)^{1000000}", "(x+y+z+w)^{300}", "(x+1)^{x^{x^x}}"],
    *[r"\sqrt[1000000007]{2}", "i^{i^{i^i}}", "2^{1/1000000007}", "1.000000001^{1000000000}"],
    *["9" * 100_000, "0." + "3" * 100_000, rf"0.\overline{{{'123456789' * 11_000}}}", "1/3^{9^9}"],
    *["F" * 90_000 + "_{16}", r"7^{10^{18}} \bmod 13", r"7 \bmod 10^{10^{10}}", "0.1e-400000000"],
    *[r"\gcd(10^{10^9}, 6)", r"\sqrt{2+" * 60 + "2" + "}" * 60, "x^{1/97}+y^{1/89}"],
    *["+".join(rf"\sqrt{{{n}}}" for n in _TERMS), "+".join(f"x^{{{n}}}" for n in _TERMS)],
    *["".join(f"(x+{n})" for n in _TERMS), "+".join(rf"\frac{{1}}{{x+{n}}}" for n in _TERMS)],
    *["+".join(rf"\sin({n}x)^{{{n}}}" for n in _TERMS), r"\frac{d^{50}}{dx^{50}} e^{x^x}"],
    *[rf"\{{{','.join(map(str, range(9_000)))}\}}", r"\cup".join(f"[{n},{n}.5)" for n in _TERMS)],
    *[r"\begin{pmatrix}" + r"\\".join(["x&" * 99 + "x"] * 99) + r"\end{pmatrix}"],
    *["1+" * 9_000 + "1", r"\{1,2\}" + r"\cup\{3\}" * 3_000, r"1 \pm " * 40 + "1"],
    *["x=" * 3_000 + "1", "1<" * 3_000 + "x", r"\sqrt{" + "7" * 990 + "}", "2^{0.1}" * 99],
    *["(sqrt(2)+sqrt(3)+sqrt(5)+sqrt(7))^{60}", "(((x^2+1)^2+1)^2+1)^{99}"],
    *[r"\arctan(" * 50 + "1" + ")" * 50, r"e^{\pi\sqrt{163}}" * 30, "1" + "0" * 5_000 + r"\%"],
    *[r"\log_{1.0000000001}(10^{10^6})", r"\sum_{k=0}^{200}\frac{\sin^{k}(x)\cos^{k}(x)}{k!}"],
    *["(1+" * 40 + "x" + ")^2" * 40, r"\frac{1}{1+" * 90 + "x" + "}" * 90, r"\binom{x}{10^6}"],
    *[r"\left(1+\frac{1}{10^{9}}\right)^{10^{9}}", r"\sqrt{x+" * 90 + "x" + "}" * 90, "x^{10^{9}}"],
    *["(x-1)^{97}(x+1)^{89}(x^2+3)^{83}", "|" * 90 + "x" + "|" * 90, r"\sqrt[|0|]{\binom{k}{i}}"],
    # is it 0? a gamma function at thousands of bits takes seconds
    *[r"\log_{\binom{2}{y}}(\sin(\pi))", r"0^{\binom{i}{0.1}}", r"\ln(x\cdot 0^{\binom{i}{97}})"],
    *[r"\log_{(\binom{97}{\pi})^{0}}(-0.5)", r"\ln(\tan(\pi))", r"\ln(" * 90 + "2" + ")" * 90],
]

PAYLOADS = [  # PATH is a file that must not come to be; the first six are plain Python
    *["__import__('os').mkdir('PATH')", "open('PATH','w')", 'exec(\'open("PATH","w")\')'],
    *["[open('PATH','w'),2]", "1+0*len(str(open('PATH','w')))", "(lambda: open('PATH','w'))()"],
    *["().__class__.__base__.__subclasses__()", 'frac(\'open("PATH","w")\')', "eval('5')"],
    *['sympify(\'open("PATH","w")\')', "sqrt(open('PATH','w'))", "Integer(open('PATH','w'))"],
    *["$(touch PATH)", "`touch PATH`", "; touch PATH", "| touch PATH", r"\write18{touch PATH}"],
    *[r'\input{|"touch PATH"}', "{{ open('PATH','w') }}", r"\text{open('PATH','w')}", "print(5)"],
    *['!!python/object/apply:os.system ["touch PATH"]', "x if open('PATH','w') else y"],
    *["cos\nsystem\n(S'touch PATH'\ntR.", "x.func(open('PATH','w'))", "{open('PATH','w')}"],
    *["\U0001d630\U0001d631\U0001d626\U0001d62f('PATH','w')", r"\frac{open('PATH','w')}{1}"],
    *[r"\sqrt{__import__('os').mkdir('PATH')}", "5 if 1 else 0", "1\nimport os", "x.__class__"],
]

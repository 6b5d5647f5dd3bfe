r"""Finds the mathematics in model text, and tells what of it a typesetter may be given.

Mathematics is ``\(x\)``, ``\[x\]``, ``$$x$$``, and ``$x$`` where it cannot be money: "$5 and $6" is none. The live
view finds it by the same rules (``js/src/tex.js``) and shows its source; the saved view lets the front end typeset it.

TeX can do more than typeset: it links, loads, styles and defines. So only what is on a list of commands that write
formulas is passed on, and everything else stays source.
"""

import re
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

LONGEST: Final = 5000  # characters of one formula

_CLOSERS: Final = {"\\(": "\\)", "\\[": "\\]", "$$": "$$", "$": "$"}
_FORMULAS: Final = {
    "\\(": re.compile(r"\\\((?:[^\\]|\\[^)])+\\\)"),
    "\\[": re.compile(r"\\\[(?:[^\\]|\\[^\]])+\\\]"),
    "$$": re.compile(r"\$\$(?:[^$\\]|\\[\s\S])+\$\$"),
    "$": re.compile(r"\$(?![ \t])(?:[^$\\\n]|\\[^\n])*[^$\\ \t\n]\$(?![A-Za-z0-9$])"),
}
_WORD: Final = re.compile(r"[A-Za-z0-9]")
_MONEY: Final = re.compile(
    r"\$[0-9][^\\^_={}<>+]*[ ,/-][^\\^_={}<>+]*\$"
)  # "$5, or 5$"; not "$5x$" or "$2 + 2$"
_SENTENCE: Final = re.compile(r"[^\\]*[A-Za-z]{3}[ ,.;:]+[A-Za-z]{2}[^\\]*")  # "$x, or the like, of $"
_PROSE: Final = (
    re.compile(  # "\[1\]", "\[citation needed\]", "\(see below\)": brackets that were only escaped
        r"\\(?:[(\[][^\\^_={}<>+*/|]*[A-Za-z]{3}[^\\^_={}<>+*/|]*|\[[A-Za-z0-9 ]*)\\[)\]]"
    )
)
_ALONE: Final = re.compile(r"[ \t]*(?:\\begin\{|$)")
_COMMAND: Final = re.compile(r"\\([A-Za-z]+\*?|[\s\S]|$)")
_ENVIRONMENT: Final = re.compile(r"\\(?:begin|end)\{([A-Za-z]+\*?)\}")


def math_rules(md: MarkdownIt) -> None:
    """Teach a parser about mathematics: tokens ``math`` and ``math_block`` whose content is the source as written."""
    md.inline.ruler.before("escape", "math", _inline)
    md.block.ruler.before(
        "fence", "math_block", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )


def _inline(state: StateInline, silent: bool) -> bool:
    end = _formula_end(state.src, state.pos)
    if end is None or end > state.posMax:
        return False
    if not silent:
        state.push("math", "", 0).content = state.src[state.pos : end]
    state.pos = end
    return True


def _formula_end(source: str, at: int) -> int | None:
    """Where the formula that begins here ends, or None where none begins."""
    opens = source[at : at + 2] if source[at : at + 2] in _CLOSERS else source[at]
    close, limit = _CLOSERS.get(opens), at + LONGEST
    if close is None or source.find(close, at + len(opens), limit) < 0:
        return None
    match = _FORMULAS[opens].match(source, at, limit)
    if match is None or not _WORD.search(match.group()) or _PROSE.fullmatch(match.group()):
        return None
    return None if opens == "$" and _is_money(match.group(), source[max(0, at - 1) : at]) else match.end()


def _is_money(text: str, before: str) -> bool:
    """Whether these dollars are no mathematics: amounts, names, or the first and last of a sentence."""
    return bool(re.match(r"[A-Za-z0-9$]", before) or _MONEY.fullmatch(text) or _SENTENCE.fullmatch(text))


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A formula that begins a line goes to the line that closes it; one that is not closed, to an empty line."""
    first = _line(state, start)
    opens, line, lines = first[:2], start, [first]
    if opens not in ("$$", "\\[") or state.is_code_block(start):
        return False
    close, whole = _CLOSERS[opens], first.rstrip(" \t")
    closed = close in first[2:]
    if closed and (
        first.index(close, 2) + 2 != len(whole) or _PROSE.fullmatch(whole) or not _WORD.search(whole)
    ):
        return False  # text goes on behind it: a paragraph
    if not closed and not _ALONE.match(first[2:]):
        return False
    if silent:
        return True
    while not closed and _goes_on(state, line + 1, end):
        line += 1
        lines.append(_line(state, line))
        closed = close in lines[-1]
    state.line = line + 1
    token = state.push("math_block", "p", 0)
    token.content, token.map = "\n".join(lines).rstrip(" \t"), [start, state.line]
    return True


def _goes_on(state: StateBlock, line: int, end: int) -> bool:
    return line < end and not state.isEmpty(line) and state.sCount[line] >= state.blkIndent


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]


def is_formula(source: str) -> bool:
    """Tell whether a typesetter may be given this: one formula, of known commands and environments only."""
    opens = source[:2] if source[:2] in _CLOSERS else source[:1]
    if opens not in _CLOSERS or not _FORMULAS[opens].fullmatch(source, 0, LONGEST):
        return False
    commands = [name for name in _COMMAND.findall(source[len(opens) : -len(opens)]) if name[:1].isalpha()]
    environments = _ENVIRONMENT.findall(source)
    return (
        all(name.rstrip("*") in COMMANDS for name in commands)
        and all(name.rstrip("*") in ENVIRONMENTS for name in environments)
        and len(environments) == sum(name in ("begin", "end") for name in commands)
    )


ENVIRONMENTS: Final = frozenset(
    re.findall(
        r"\w+",
        "align aligned alignat alignedat array bmatrix Bmatrix cases dcases rcases equation gather gathered matrix "
        "multline pmatrix smallmatrix split subarray vmatrix Vmatrix",
    )
)
COMMANDS: Final = frozenset(
    re.findall(
        r"\w+",
        """
    begin end left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr bigm Bigm
    frac dfrac tfrac cfrac binom dbinom tbinom choose over atop sqrt root of stackrel overset underset substack
    text textbf textit textrm textsf texttt textnormal mbox hbox operatorname mathop mathrel mathbin mathord mathopen
    mathclose mathpunct mathrm mathbf mathit mathsf mathtt mathcal mathscr mathfrak mathbb boldsymbol bold bm rm bf it
    sf tt cal displaystyle textstyle scriptstyle scriptscriptstyle limits nolimits nonumber notag tag
    quad qquad hspace hskip kern mkern mskip thinspace enspace negthinspace phantom hphantom vphantom smash hfill
    hline cline newline cr color textcolor colorbox boxed cancel bcancel xcancel
    hat widehat bar overline underline vec tilde widetilde dot ddot dddot acute grave breve check mathring overbrace
    underbrace overrightarrow overleftarrow overleftrightarrow underrightarrow xrightarrow xleftarrow not prime
    alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa varkappa lambda mu nu xi omicron pi
    varpi rho varrho sigma varsigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon
    Phi Psi Omega aleph beth gimel daleth hbar hslash ell wp Re Im imath jmath partial nabla infty emptyset varnothing
    forall exists nexists neg lnot top bot angle measuredangle triangle square Box blacksquare Diamond diamond
    clubsuit diamondsuit heartsuit spadesuit flat natural sharp surd checkmark dagger ddagger star bigstar
    sum prod coprod int iint iiint oint bigcup bigcap bigsqcup bigvee bigwedge bigodot bigotimes bigoplus biguplus
    pm mp times div cdot ast circ bullet cap cup uplus sqcap sqcup vee lor wedge land setminus wr oplus ominus otimes
    oslash odot amalg ltimes rtimes intercal bmod pmod mod pod
    le leq ge geq lt gt ne neq ll gg lll ggg leqslant geqslant lesssim gtrsim prec succ preceq succeq sim simeq cong
    approx approxeq equiv asymp doteq propto models vdash dashv Vdash vDash perp mid nmid parallel nparallel subset
    supset subseteq supseteq subsetneq supsetneq nsubseteq sqsubset sqsupset sqsubseteq sqsupseteq in notin ni owns
    bowtie smile frown triangleq coloneqq colon therefore because between
    leftarrow gets rightarrow to leftrightarrow Leftarrow Rightarrow implies impliedby Leftrightarrow iff mapsto
    hookleftarrow hookrightarrow leftharpoonup leftharpoondown rightharpoonup rightharpoondown rightleftharpoons
    longleftarrow longrightarrow longleftrightarrow Longleftarrow Longrightarrow Longleftrightarrow longmapsto uparrow
    downarrow updownarrow Uparrow Downarrow Updownarrow nearrow searrow swarrow nwarrow leadsto rightsquigarrow
    lbrace rbrace lbrack rbrack langle rangle lceil rceil lfloor rfloor lvert rvert lVert rVert vert Vert backslash
    ldots cdots vdots ddots dots dotsc dotsb dotsm dotsi
    arccos arcsin arctan arg cos cosh cot coth csc deg det dim exp gcd hom inf injlim ker lg lim liminf limsup ln log
    max min Pr projlim sec sin sinh sup tan tanh
        """,
    )
)

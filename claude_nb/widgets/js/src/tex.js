// Finds the mathematics in model text, by the same rules as claude_nb/widgets/tex.py. Here its source is shown: only
// the saved view is typeset, where the front end can.
const LONGEST = 5000; // characters of one formula
const CLOSERS = { "\\(": "\\)", "\\[": "\\]", $$: "$$", $: "$" };
const FORMULAS = {
  "\\(": /^\\\((?:[^\\]|\\[^)])+\\\)/,
  "\\[": /^\\\[(?:[^\\]|\\[^\]])+\\\]/,
  $$: /^\$\$(?:[^$\\]|\\[\s\S])+\$\$/,
  $: /^\$(?![ \t])(?:[^$\\\n]|\\[^\n])*[^$\\ \t\n]\$(?![A-Za-z0-9$])/,
};
const WORD = /[A-Za-z0-9]/;
const MONEY = /^\$[0-9][^\\^_={}<>+]*[ ,/-][^\\^_={}<>+]*\$$/; // "$5, or 5$"; not "$5x$" or "$2 + 2$"
const SENTENCE = /^[^\\]*[A-Za-z]{3}[ ,.;:]+[A-Za-z]{2}[^\\]*$/; // "$x, or the like, of $"
// "\[1\]", "\[citation needed\]", "\(see below\)": brackets that were only escaped
const PROSE = /^\\(?:[(\[][^\\^_={}<>+*/|]*[A-Za-z]{3}[^\\^_={}<>+*/|]*|\[[A-Za-z0-9 ]*)\\[)\]]$/;
const ALONE = /^[ \t]*(?:\\begin\{|$)/;

/** Teach a parser about mathematics: tokens "math" and "math_block" whose content is the source as written. */
export function mathRules(md) {
  md.inline.ruler.before("escape", "math", inline);
  md.block.ruler.before("fence", "math_block", block, { alt: ["paragraph", "reference", "blockquote", "list"] });
}

function inline(state, silent) {
  const end = formulaEnd(state.src, state.pos);
  if (end === null || end > state.posMax) return false;
  if (!silent) state.push("math", "", 0).content = state.src.slice(state.pos, end);
  state.pos = end;
  return true;
}

/** Where the formula that begins here ends, or null where none begins. */
function formulaEnd(source, at) {
  const opens = [source.slice(at, at + 2), source[at]].find((start) => Object.hasOwn(CLOSERS, start));
  if (opens === undefined) return null;
  const window = source.slice(at, at + LONGEST);
  if (!window.includes(CLOSERS[opens], opens.length)) return null;
  const formula = FORMULAS[opens].exec(window)?.[0];
  if (!formula || !WORD.test(formula) || PROSE.test(formula)) return null;
  if (opens === "$" && isMoney(formula, source[at - 1] ?? "")) return null;
  return at + formula.length;
}

/** Whether these dollars are no mathematics: amounts, names, or the first and last of a sentence. */
function isMoney(text, before) {
  return /[A-Za-z0-9$]/.test(before) || MONEY.test(text) || SENTENCE.test(text);
}

/** A formula that begins a line goes to the line that closes it; one that is not closed, to an empty line. */
function block(state, start, end, silent) {
  const lines = [lineOf(state, start)];
  const [first] = lines;
  const opens = first.slice(0, 2);
  if ((opens !== "$$" && opens !== "\\[") || state.sCount[start] - state.blkIndent >= 4) return false;
  const close = CLOSERS[opens];
  const whole = first.replace(/[ \t]+$/, "");
  let closed = first.includes(close, 2);
  // Where text goes on behind it, it is part of a paragraph.
  if (closed ? first.indexOf(close, 2) + 2 !== whole.length || PROSE.test(whole) || !WORD.test(whole) : !ALONE.test(first.slice(2))) return false;
  if (silent) return true;
  let line = start;
  while (!closed && goesOn(state, line + 1, end)) {
    lines.push(lineOf(state, ++line));
    closed = lines.at(-1).includes(close);
  }
  state.line = line + 1;
  const token = state.push("math_block", "p", 0);
  token.content = lines.join("\n").replace(/[ \t]+$/, "");
  token.map = [start, state.line];
  return true;
}

function goesOn(state, line, end) {
  return line < end && !state.isEmpty(line) && state.sCount[line] >= state.blkIndent;
}

function lineOf(state, line) {
  return state.src.slice(state.bMarks[line] + state.tShift[line], state.eMarks[line]);
}

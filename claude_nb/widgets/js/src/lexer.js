// Code -> pieces with a role, by the rules of claude_nb/widgets/languages.json. The same as claude_nb/widgets/lexer.py.
import data from "../../languages.json" with { type: "json" };

export const LIMIT = 20_000; // characters; code beyond is not coloured

const places = new Map(data.languages.flatMap(({ names }, place) => names.split(" ").map((name) => [name, place])));
const lexers = new Map();

/**
 * The lexer of a language, or null where it is not known.
 * @returns {null | ((source: string) => {tokens: [role: string, start: number, end: number][], sure: number})}
 *   only what has a role; more text changes nothing before `sure`, the beginning of a line
 */
export function lexerOf(language) {
  const place = places.get(language.toLowerCase());
  if (place === undefined) return null;
  if (!lexers.has(place)) lexers.set(place, lexer(data.languages[place]));
  return lexers.get(place);
}

function lexer({ rules, words = "", fold = false }) {
  let whole = rules.map(([, rule]) => `(${rule})`).join("|");
  for (let round = 0; round < 2; round++)
    for (const [name, part] of Object.entries(data.shared)) whole = whole.replaceAll(`{${name}}`, () => `(?:${part})`);
  const pattern = new RegExp(whole, "g");
  const roles = rules.map(([role]) => role);
  const keywords = new Set(words.split(" "));
  const isKeyword = (text) => keywords.has(fold ? text.toLowerCase() : text);
  return (source) => {
    const tokens = [];
    let sure = 0;
    let end = 0;
    for (const match of source.matchAll(pattern)) {
      const line = source.lastIndexOf("\n", match.index - 1) + 1;
      if (line > end || (line === end && line > 0)) sure = line;
      end = match.index + match[0].length;
      const role = roles[match.findIndex((group, i) => i > 0 && group !== undefined) - 1] || (isKeyword(match[0]) ? "k" : "");
      if (role) tokens.push([role, match.index, end]);
    }
    return { tokens, sure };
  };
}

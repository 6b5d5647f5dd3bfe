// Model text -> tokens. The same rules as claude_nb/widgets/markdown.py: CommonMark, tables and strikethrough,
// raw HTML as text. A test compares the two.
import MarkdownIt from "markdown-it";

import { mathRules } from "./tex.js";

export const MAX_NESTING = 50;
const CITATION = /\u2e28([0-9]{1,4})\u2e29/;

const md = new MarkdownIt("commonmark", { html: false, maxNesting: MAX_NESTING }).enable(["table", "strikethrough"]);
mathRules(md);

// Inline text is parsed once: a block that grows is parsed again, but most of its paragraphs, items and cells are
// what they were. `env.inline` hands their children on from one parse to the next.
md.core.ruler.at("inline", ({ tokens, env }) => {
  const known = env.inline ?? new Map();
  env.inline = new Map();
  for (const token of tokens) {
    if (token.type !== "inline") continue;
    const children = env.inline.get(token.content) ?? known.get(token.content);
    if (children) token.children = children;
    else md.inline.parse(token.content, md, env, token.children);
    env.inline.set(token.content, token.children);
  }
});

md.core.ruler.push("citation", (state) => {
  for (const token of state.tokens) {
    if (token.type !== "inline" || !CITATION.test(token.content)) continue;
    token.children = token.children.flatMap((child) => (child.type === "text" ? splitCitations(child, state) : [child]));
  }
});

function splitCitations(token, state) {
  return token.content.split(CITATION).map((content, i) => {
    const part = new state.Token(i % 2 ? "citation" : "text", "", 0);
    part.content = content;
    return part;
  });
}

/** What stands for a citation inside Markdown until it is drawn; its brackets count as punctuation. */
export const citationMark = (number) => `\u2e28${number}\u2e29`;

/** The URL if a reader may follow it, else null. */
export const safeHref = (url) => (/^(?:https?:\/\/|mailto:|#)/i.test(url) ? url : null);

export function altText({ children }) {
  const texts = (children ?? []).map((child) => (child.type === "math" ? { ...child, type: "text" } : child));
  return md.renderer.renderInlineAsText(texts, md.options, {}) || "image";
}

/**
 * Parse model text into one flat list: block tokens with the inline tokens in their places.
 * @param {string} source
 * @param {{references?: object, inline?: Map}} env what earlier parses leave for later ones
 */
export function parse(source, env = {}) {
  const tokens = md.parse(source, env);
  if (tokens.some((token) => token.level >= MAX_NESTING - 1)) {
    env.tooDeep = true; // the parser drops what is nested deeper: show the source
    return [{ type: "code_block", tag: "code", nesting: 0, level: 0, info: "", content: source, map: [0, 1] }];
  }
  return tokens.flatMap((token) => (token.type === "inline" ? token.children : [token]));
}

/** The line at which the last top-level block begins: everything before it is closed for good. */
export function lastBlockLine(source, env) {
  const tokens = [];
  md.block.parse(source, md, env, tokens);
  return tokens.reduce((line, token) => (token.level === 0 && token.map ? Math.max(line, token.map[0]) : line), 0);
}

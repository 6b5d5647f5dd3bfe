// The browser knows the names of HTML's entities; bundling the table would make the widget a third larger.
const parser = new DOMParser();
const known = new Map();

/** Stands in for the function of the same name in the package `entities`, for one entity as markdown-it asks. */
export function decodeHTMLStrict(entity) {
  if (!/^&[a-z0-9]+;$/i.test(entity)) return entity;
  if (!known.has(entity)) known.set(entity, decode(entity));
  return known.get(entity);
}

function decode(entity) {
  const text = parser.parseFromString(`x${entity}`, "text/html").body.textContent.slice(1);
  return text.endsWith(";") && text !== ";" ? entity : text; // "&notit;" is no entity, though "&not" is to browsers
}

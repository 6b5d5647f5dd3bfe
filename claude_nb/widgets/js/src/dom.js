export function create(doc, tag, className = "", ...children) {
  const element = doc.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

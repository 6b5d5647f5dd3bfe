// A question with two buttons. The page asks the kernel for the question: so the kernel knows that answers will arrive.
const ASK_AGAIN_MS = 500; // some front ends lose the first message
const TRIES = 20;

export default () => {
  const views = new Set();
  let question = null;
  return {
    initialize({ model }) {
      model.on("msg:custom", (message) => {
        if (!message?.question) return;
        question = message.question;
        for (const draw of views) draw();
      });
      let tries = 0;
      const ask = () => {
        if (question || tries++ > TRIES) return;
        model.send({ want: "question" });
        setTimeout(ask, ASK_AGAIN_MS);
      };
      ask();
    },
    render({ model, el }) {
      const draw = () => question && !el.hasChildNodes() && show(el, question, (answer) => model.send({ do: answer }));
      views.add(draw);
      draw();
      return () => views.delete(draw);
    },
  };
};

function show(el, { title, text }, answer) {
  const doc = el.ownerDocument;
  const create = (tag, className, textContent = "") => Object.assign(doc.createElement(tag), { className, textContent });
  const id = `cnb-question-${Math.random().toString(36).slice(2)}`;
  const box = create("div", "cnb-question");
  const heading = create("p", "", title);
  const details = create("pre", "", text);
  const buttons = create("div", "cnb-answers");
  const pressed = (name, word) => {
    for (const button of buttons.children) button.disabled = true;
    heading.textContent = `${word}: ${title}`;
    answer(name);
  };
  for (const [name, label, word] of [
    ["allow", "Allow", "Allowed"],
    ["refuse", "Refuse", "Refused"],
  ]) {
    const button = create("button", `cnb-${name}`, label);
    button.type = "button";
    button.addEventListener("click", () => pressed(name, word));
    buttons.append(button);
  }
  heading.id = `${id}-title`;
  details.id = `${id}-text`;
  details.tabIndex = 0; // it scrolls
  box.setAttribute("role", "alertdialog");
  box.setAttribute("aria-labelledby", heading.id);
  box.setAttribute("aria-describedby", details.id);
  box.dataset.lmSuppressShortcuts = "true"; // keys pressed here are no commands of the notebook
  box.append(heading, details, buttons);
  el.append(box);
  box.scrollIntoView({ block: "nearest" }); // the cell waits for it
  if (!isTyping(doc)) buttons.lastChild.focus({ preventScroll: true }); // Enter by mistake refuses
}

function isTyping(doc) {
  const active = doc.activeElement;
  return Boolean(active?.isContentEditable || active?.matches?.("input, textarea, select"));
}

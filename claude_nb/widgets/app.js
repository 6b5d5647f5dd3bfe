// The parts of the chat window that standard controls cannot give: what was said, where to write, what it costs.
// claude_nb/widgets/app.py has the messages. The HTML of a message is made safe in the kernel; all else is text.

const BUSY_MS = 1500; // after which a kernel that has not answered is said to be busy
const SAVED_MS = 1500; // after which the notebook should have the saved output
const NEAR = 80; // pixels above the end at which a reader still counts as being there
const PIECE = 4_000_000; // bytes; a Jupyter server closes the connection on a message of over 10 MB
const LARGEST = 22_000_000; // bytes of a file; in base64 it is close to the 32 MB that the API takes at once
const VIEW = "application/vnd.jupyter.widget-view+json";

function create(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

function button(text, label, act, className = "cnb-app-button") {
  const element = create("button", className, text);
  element.type = "button";
  if (label) element.setAttribute("aria-label", label);
  element.addEventListener("click", act);
  return element;
}

/** Calls `found` with the window's outermost element once it is in the page. */
function whenInWindow(el, found, tries = 200) {
  const root = el.closest(".cnb-app");
  if (root) found(root);
  else if (tries) requestAnimationFrame(() => whenInWindow(el, found, tries - 1));
}

// What was said ------------------------------------------------------------------------------------------------------

class LogView {
  #model;
  #list = create("div", "cnb-app-log");
  #atEnd = true; // whether the reader is there, and is kept there

  constructor(model, el) {
    this.#model = model;
    this.#list.setAttribute("role", "log"); // each message is announced once, when it is complete
    this.#list.setAttribute("aria-label", "Conversation");
    el.append(this.#list);
    whenInWindow(el, (root) => this.#settle(root, el.closest(".cnb-app-talk")));
  }

  #settle(root, talk) {
    talk.tabIndex = 0; // the keyboard scrolls it
    talk.setAttribute("role", "region");
    talk.setAttribute("aria-label", "Messages");
    talk.addEventListener("scroll", () => {
      this.#atEnd = talk.scrollHeight - talk.scrollTop - talk.clientHeight < NEAR;
    });
    const grown = new ResizeObserver(() => {
      if (this.#atEnd) talk.scrollTop = talk.scrollHeight;
      if (this.#atEnd && root.contains(document.activeElement)) root.lastElementChild.scrollIntoView({ block: "nearest" });
    });
    for (const part of talk.children) grown.observe(part);
  }

  show(items, from) {
    this.#list.ariaLive = items.length - from > 2 ? "off" : "polite"; // another conversation is not read out
    while (this.#list.children.length > from) this.#list.lastChild.remove();
    for (const item of items.slice(from)) this.#list.append(this.#message(item));
    this.#list.classList.add("cnb-app-live"); // what the notebook has saved steps back
    if (items.at(-1)?.can !== "fork") this.#atEnd = true; // the reader has just said something
  }

  #message({ html, place, can, name }) {
    const body = create("div", "cnb-app-body jp-RenderedHTMLCommon");
    body.innerHTML = html;
    this.#model.widget_manager?.rendermime?.latexTypesetter?.typeset(body); // JupyterLab and Notebook, as in what is saved
    const article = create("article", "cnb-app-message", body);
    const what = { edit: ["Edit", `Edit ${name} and send it again`], fork: ["Fork", `Go on after ${name} in a copy`] }[can];
    if (what) {
      const act = button(...what, () => this.#model.send({ do: can, at: place }));
      act.title = what[1];
      article.append(create("div", "cnb-app-acts", act));
    }
    return article;
  }
}

/** The outputs of this notebook that hold the window and, after it, the saved transcript; null where unknown. */
function savedOutput(manager, root) {
  const cells = manager?.context?.model?.cells;
  for (let i = 0; i < (cells?.length ?? 0); i++) {
    const outputs = cells.get(i).outputs;
    for (let j = 0; j + 1 < (outputs?.length ?? 0); j++)
      if (outputs.get(j).data?.[VIEW]?.model_id === root) return outputs.get(j + 1);
  }
  return null;
}

function log() {
  const views = new Set();
  let items = [];
  let root = null;
  // A page that was loaded anew gets no more updates of the outputs it has loaded: see that they are made.
  const checkSaved = (model, stamp) => {
    const output = savedOutput(model.widget_manager, root);
    const html = String(output?.data?.["text/html"] ?? "");
    if (html.includes("cnb-transcript") && !html.includes(`data-stamp="${stamp}"`)) model.send({ want: "saved" });
  };
  return {
    initialize({ model }) {
      model.on("msg:custom", (message) => {
        if (message?.saved) {
          savedOutput(model.widget_manager, root)?.setData({ data: message.saved });
        } else if (message?.from > items.length) {
          model.send({ want: "items" });
        } else if (message?.items) {
          root = message.root;
          items = [...items.slice(0, message.from), ...message.items];
          for (const view of views) view.show(items, message.from);
          if (message.stamp) setTimeout(() => checkSaved(model, message.stamp), SAVED_MS);
        }
      });
      model.send({ want: "items" });
    },
    render({ model, el }) {
      const view = new LogView(model, el);
      views.add(view);
      if (root) view.show(items, 0); // also where nothing is said yet: the kernel has been heard
      return () => views.delete(view);
    },
  };
}

// Where to write -----------------------------------------------------------------------------------------------------

/** Whether there is no kernel to hear anything, where the front end tells. */
function kernelIsGone(manager) {
  return Boolean(manager && "kernel" in manager && (!manager.kernel || manager.kernel.status === "dead"));
}

class Desk {
  #model;
  #pending = null; // what is sent and not yet taken
  #drawn = null; // number of the draft that was put into the field
  #asked = null;
  #gone = false;
  #hint = "";
  #wasBusy = false;
  #note = create("p", "cnb-app-note");
  #notice = create("div", "cnb-app-notice");
  #ask = create("div", "cnb-app-ask");
  #editing = create("div", "cnb-app-editing");
  #files = create("ul", "cnb-app-files");
  #area = create("textarea", "cnb-app-area");
  #chooser = create("input");
  #send;

  constructor(model, el) {
    this.#model = model;
    this.#area.rows = 1;
    this.#area.placeholder = "Write a message: Enter sends it, Shift+Enter makes a new line";
    this.#area.setAttribute("aria-label", "Message");
    this.#notice.setAttribute("role", "alert");
    this.#note.setAttribute("role", "status");
    this.#files.setAttribute("aria-label", "Attached files");
    this.#ask.setAttribute("role", "group");
    this.#send = button("Send", "", () => (this.#busy ? this.#stop() : this.#submit()), "cnb-app-button cnb-app-send");
    this.#chooser.type = "file";
    this.#chooser.multiple = true;
    this.#chooser.accept = model.get("state")?.accept ?? "";
    this.#chooser.hidden = true;
    this.#chooser.addEventListener("change", () => this.#attach(this.#chooser.files));
    const attach = button("Attach", "Attach pictures, PDFs or texts", () => this.#chooser.click());
    const row = create("div", "cnb-app-row", attach, this.#chooser, this.#note, this.#send);
    const field = create("div", "cnb-app-field", this.#editing, this.#files, this.#area, row);
    field.addEventListener("dragover", (event) => event.preventDefault());
    field.addEventListener("drop", (event) => this.#take(event, event.dataTransfer));
    this.#area.addEventListener("paste", (event) => this.#take(event, event.clipboardData));
    el.append(this.#notice, this.#ask, field);
    this.#area.addEventListener("input", () => {
      this.#fit();
      this.#tell("");
    });
    this.#area.addEventListener("keydown", (event) => this.#key(event));
    whenInWindow(el, (root) => this.#settle(root));
    this.update();
  }

  get #state() {
    return this.#model.get("state") ?? {};
  }

  get #busy() {
    return Boolean(this.#state.busy);
  }

  #settle(root) {
    root.dataset.lmSuppressShortcuts = "true"; // the keys typed here are not the notebook's
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", "Chat window");
    root.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented) this.#escape(event);
    });
    this.#fit();
  }

  #key(event) {
    event.stopPropagation();
    if (event.key === "Escape") this.#escape(event);
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#submit();
  }

  #escape(event) {
    event.preventDefault();
    if (typeof this.#state.editing === "number") this.#model.send({ do: "cancel" });
    else if (this.#busy) this.#stop();
  }

  #submit() {
    const text = this.#area.value;
    if (this.#pending || (!text.trim() && !this.#state.files?.length)) return;
    if (this.#gone || kernelIsGone(this.#model.widget_manager)) {
      this.lost();
      return;
    }
    if (this.#busy) {
      this.#tell("Wait for the reply, or stop it: Esc.");
      return;
    }
    this.#pending = { n: `${Date.now()}-${Math.random()}` };
    this.#area.readOnly = true;
    this.#model.send({ do: "send", text, n: this.#pending.n });
    const { n } = this.#pending;
    setTimeout(() => {
      if (this.#pending?.n === n) this.#tell("The kernel is busy with a cell; the message is sent after it.");
    }, BUSY_MS);
  }

  #stop() {
    this.#model.send({ do: "stop" });
    this.#send.disabled = true;
    setTimeout(() => {
      if (this.#busy && !this.#state.stopping) this.#tell("The kernel is busy with a cell; the reply stops after it.");
    }, BUSY_MS);
  }

  /** Attaches what is pasted or dropped here, where it is files. */
  #take(event, data) {
    if (!data?.files.length) return;
    event.preventDefault();
    this.#attach(data.files);
  }

  async #attach(files) {
    for (const file of files) {
      if (file.size > LARGEST) {
        this.#tell(`${file.name} is larger than ${LARGEST / 1e6} MB, and the API does not take it.`);
        continue;
      }
      const data = await file.arrayBuffer();
      for (let at = 0; at === 0 || at < data.byteLength; at += PIECE) {
        const more = at + PIECE < data.byteLength;
        this.#model.send({ do: "attach", name: file.name, more }, undefined, [data.slice(at, at + PIECE)]);
      }
    }
    this.#chooser.value = ""; // the same file can be chosen again
  }

  /** Says something until the reader goes on, or the reply has ended. */
  #tell(hint) {
    this.#hint = hint;
    const { busy, stopping } = this.#state;
    this.#note.textContent = hint || (busy ? `${stopping ? "Stopping" : busy}…` : "");
  }

  #fit() {
    this.#area.style.height = "auto";
    if (this.#area.scrollHeight) this.#area.style.height = `${this.#area.scrollHeight}px`;
  }

  update() {
    const state = this.#state;
    if (this.#pending && state.accepted === this.#pending.n) {
      this.#pending = null;
      this.#area.readOnly = false;
      this.#area.value = "";
    }
    if (state.draft && state.draft.n !== this.#drawn) this.#draft(state.draft);
    this.#tell(this.#wasBusy === Boolean(state.busy) && !state.stopping ? this.#hint : "");
    this.#wasBusy = Boolean(state.busy);
    this.#send.textContent = state.busy ? "Stop" : "Send";
    this.#send.disabled = this.#gone || Boolean(state.stopping);
    this.#send.classList.toggle("cnb-app-stop", Boolean(state.busy));
    this.#showNotice(state.notice);
    this.#showAsk(state.ask);
    this.#showEditing(state.editing);
    this.#showFiles(state.files ?? []);
    this.#fit();
  }

  #draft({ n, text, instead }) {
    this.#drawn = n;
    const typed = this.#area.value;
    this.#area.value = instead || !typed.trim() ? text : `${text}\n\n${typed}`;
    this.#area.focus();
  }

  #showNotice(notice) {
    this.#notice.hidden = !notice;
    if (this.#notice.dataset.text === (notice?.text ?? "")) return;
    this.#notice.dataset.text = notice?.text ?? "";
    this.#notice.replaceChildren();
    if (!notice) return;
    this.#notice.classList.toggle("cnb-app-bad", notice.tone === "bad");
    const away = button("×", "Dismiss this message", () => this.#model.send({ do: "dismiss" }), "cnb-app-x");
    this.#notice.append(create("span", "", notice.text), away);
  }

  #showAsk(ask) {
    this.#ask.hidden = !ask;
    if (ask?.n === this.#asked) return;
    this.#asked = ask?.n;
    this.#ask.replaceChildren();
    if (!ask) return;
    const answer = (yes) => () => {
      this.#model.send({ do: "answer", yes });
      this.#area.focus();
    };
    this.#ask.setAttribute("aria-label", `Allow the tool ${ask.name}?`);
    const no = button("Don’t run it", "", answer(false));
    this.#ask.append(
      create("p", "", "The model wants to run ", create("code", "", ask.name), ". Allow it?"),
      create("pre", "", ask.input),
      create("div", "cnb-app-acts", no, button("Run it", "", answer(true))),
    );
    no.focus(); // the safe answer is the one that a key pressed too early gives
  }

  #showEditing(place) {
    const editing = typeof place === "number";
    this.#editing.hidden = !editing;
    this.#editing.replaceChildren();
    if (!editing) return;
    const cancel = button("Cancel", "Cancel editing", () => this.#model.send({ do: "cancel" }));
    this.#editing.append(create("span", "", `Editing message ${place + 1}: sent again, it starts a new branch.`), cancel);
  }

  #showFiles(files) {
    this.#files.hidden = !files.length;
    const chips = files.map((name, at) => {
      const away = button("×", `Remove ${name}`, () => this.#model.send({ do: "detach", at }), "cnb-app-x");
      return create("li", "", create("span", "", name), away);
    });
    this.#files.replaceChildren(...chips);
  }

  lost() {
    this.#gone = true;
    this.update();
    this.#tell("The kernel has gone. Run this cell again to go on.");
  }
}

function desk() {
  const views = new Set();
  return {
    initialize({ model }) {
      model.on("change:state", () => views.forEach((view) => view.update()));
      model.on("comm_live_update", () => views.forEach((view) => view.lost()));
    },
    render({ model, el }) {
      const view = new Desk(model, el);
      views.add(view);
      return () => views.delete(view);
    },
  };
}

// What it costs ------------------------------------------------------------------------------------------------------

const count = (tokens) => tokens.toLocaleString("en-US");

function facts() {
  return {
    render({ model, el }) {
      const line = create("div", "cnb-app-facts");
      el.append(line);
      const draw = () => {
        const { cost, budget, warning, used, window } = model.get("state") ?? {};
        line.replaceChildren();
        if (warning) line.append(create("span", "cnb-app-warn", warning));
        if (cost) line.append(create("span", "", cost));
        if (budget) line.append(create("span", "", budget));
        line.append(gauge(used, window));
      };
      model.on("change:state", draw);
      draw();
      return () => model.off("change:state", draw);
    },
  };
}

function gauge(used, window) {
  const known = typeof used === "number";
  const text = `Context: ${known ? count(used) : "unknown"}${window ? ` of ${count(window)}` : ""} tokens`;
  const element = create("span", "cnb-app-gauge");
  if (known && window) {
    const meter = create("meter", "");
    Object.assign(meter, { min: 0, max: window, low: window * 0.75, high: window * 0.9, optimum: 0, value: used });
    meter.setAttribute("aria-label", "Tokens of the last prompt, of the context window");
    element.append(meter);
  }
  element.append(text);
  element.title = "Tokens of the last prompt, of what the model can take";
  return element;
}

const PARTS = { log, desk, facts };

// The part is known only with the model, so each is made when its model is.
export default () => {
  let part;
  const made = (model) => (part ??= PARTS[model.get("part")]());
  return {
    initialize: (props) => made(props.model).initialize?.(props),
    render: (props) => made(props.model).render(props),
  };
};

// The anywidget module. Messages are heard from initialize on, views come and go: both share this closure.
import { Session } from "./session.js";
import { View } from "./view.js";

const FIRST_MESSAGE_MS = 500;

export default () => {
  const bars = new Set();
  let session;
  return {
    initialize({ model }) {
      session = new Session(() => model.send({ want: "snapshot" }));
      session.expect(FIRST_MESSAGE_MS);
      model.on("msg:custom", (message) => {
        if (message?.ack === "stop") for (const bar of bars) bar.acknowledge();
        else session.receive(message);
      });
    },
    render({ model, el }) {
      const kernel = model.widget_manager?.kernel; // JupyterLab and Notebook; elsewhere the message must do
      const interrupt = kernel?.interrupt ? () => kernel.interrupt() : null;
      const pace = (ms) => model.send({ do: "pace", ms });
      const view = new View(el, () => model.send({ do: "stop" }), interrupt, pace);
      bars.add(view.bar);
      const leave = session.listen((op) => view.apply(op));
      return () => {
        leave();
        bars.delete(view.bar);
      };
    },
  };
};

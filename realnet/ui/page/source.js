// Where the page's data comes from: a node of a running cluster, or a run that is played. Both serve the same routes.

import { byId, el } from "./dom.js";

const KEPT = "p2pfaas-token"; // in the storage of this tab alone

let asking = null; // for a token; a promise that is rejected, once the user has closed the dialog without one

// askForToken shows the dialog, once, until there is one or the user wants to give none.
function askForToken(refused) {
  asking ??= new Promise((resolve, reject) => {
    const dialog = byId("token");
    const field = el("input", {
      type: "password", id: "token-field", autocomplete: "off", required: true, pattern: "\\s*[!-~]+\\s*", title: "letters, digits and signs, as in the file",
    });
    dialog.replaceChildren(
      el("h2", { id: "token-title" }, "This node wants a token"),
      el("p", {}, refused ? "The node refuses the token that was given. " : "", "Whoever runs the cluster has it: the file of --token-file. It is kept until this tab is closed."),
      el("form", { method: "dialog" }, el("label", { for: "token-field" }, "Token"), field, el("button", { type: "submit", value: "token" }, "Use it")),
    );
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      if (dialog.returnValue !== "token") { // Escape
        reject(new Error("the node wants a token: reload the page to give it one"));
        return;
      }
      asking = null;
      sessionStorage.setItem(KEPT, field.value.trim());
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

// ask asks the page's own server. Where that wants a token, the user is asked for it; a certificate only the browser can show.
export async function ask(path, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem(KEPT);
    const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    const answer = await fetch(path, { ...options, headers, cache: "no-store" });
    if (answer.status !== 401 || !answer.headers.has("WWW-Authenticate")) return answer;
    await askForToken(token !== null && token === sessionStorage.getItem(KEPT));
  }
}

// read asks for JSON. Its error is what the server says.
export async function read(path, options) {
  const answer = await ask(path, options);
  if (!answer.ok) throw new Error((await answer.text()).trim() || answer.statusText);
  return answer.json();
}

const RETRY = 2000; // milliseconds

// Live is what a node sees of its cluster, as it comes.
export class Live {
  constructor({ onSnapshot, onStatus }) {
    this.onSnapshot = onSnapshot;
    this.onStatus = onStatus;
    document.addEventListener("visibilitychange", () => this.attend());
    this.attend();
  }

  // attend reads while somebody looks: the node need not look at the others otherwise.
  attend() {
    if (document.hidden) {
      this.reading?.abort();
      this.reading = null;
    } else if (!this.reading) {
      this.reading = new AbortController();
      this.follow(this.reading.signal);
    }
  }

  async follow(signal) {
    while (!signal.aborted) {
      try {
        await this.events(signal);
        this.onStatus("the node has ended the connection: trying again", true);
      } catch (error) {
        if (signal.aborted) return;
        this.onStatus(`no connection to the node (${error.message}): trying again`, true);
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }

  // events reads server-sent events by fetch: EventSource could not send the token.
  async events(signal) {
    const answer = await ask("events", { signal, headers: { Accept: "text/event-stream" } });
    if (!answer.ok) throw new Error((await answer.text()).trim() || answer.statusText);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        const data = event.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart());
        if (data.length) {
          this.onStatus("live", false);
          this.onSnapshot(JSON.parse(data.join("\n")));
        }
      }
    }
  }
}

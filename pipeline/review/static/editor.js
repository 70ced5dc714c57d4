// Edits one sentence in its place. What is typed stays until it is saved or given up on purpose.

import { request } from "./api.js";
import { h } from "./dom.js";

export class Editor {
  #open = null;

  constructor(transcript, player, { say, onSaved, onMode }) {
    this.transcript = transcript;
    this.player = player;
    this.say = say;
    this.onSaved = onSaved;
    this.onMode = onMode;
    addEventListener("resize", () => this.#open && fit(this.#open.field));
    addEventListener("beforeunload", (event) => {
      if (this.#open && this.#changed()) event.preventDefault();
    });
  }

  get editing() {
    return this.#open !== null;
  }

  async edit(place) {
    if (this.#open?.place === place) return this.#open.field.focus();
    if (this.#open && !(await this.#save())) return undefined;
    const element = this.transcript.elements[place];
    const before = this.transcript.text(place);
    const problem = h("div", { class: "problem", role: "alert", hidden: true });
    const field = h("textarea", { rows: 1, "aria-label": "Text of this sentence", spellcheck: true, dir: "auto", oninput: () => fit(field), onkeydown: (event) => this.#key(event) });
    field.value = before;
    const form = h(
      "form",
      { class: "editing", onsubmit: (event) => (event.preventDefault(), this.#save()) },
      field,
      problem,
      h("p", { class: "buttons" },
        h("button", { type: "submit", class: "primary" }, "Save"), " ",
        h("button", { type: "button", onclick: () => this.cancel() }, "Cancel"), " ",
        h("button", { type: "button", onclick: () => this.#hear() }, "Hear it")),
    );
    this.#open = { place, before, element, field, form, problem, segment: this.transcript.segments[place].id };
    element.classList.add("open");
    element.querySelector(".text").after(form);
    this.transcript.busy = true;
    this.onMode(true);
    fit(field);
    field.focus();
    field.setSelectionRange(before.length, before.length);
    return undefined;
  }

  cancel() {
    this.#close();
    this.say("Left as it was.");
  }

  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter") this.#save();
    else if (event.key === "Escape") this.cancel();
    else if (event.key === "Tab" && !event.shiftKey) this.#hear();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #hear() {
    if (this.player.playing) this.player.pause();
    else this.player.playSpan(...this.transcript.span(this.#open.place));
  }

  #changed() {
    return tidy(this.#open.field.value) !== this.#open.before;
  }

  async #save() {
    if (!this.#open || this.#open.saving) return false;
    if (!this.#changed()) {
      this.#close();
      return true;
    }
    const open = this.#open;
    open.saving = true;
    open.field.readOnly = true;
    try {
      await this.#send(open);
      return true;
    } catch (problem) {
      if (problem.status === 409) this.#conflict(open, problem);
      else this.#complain(open, problem.message);
      return false;
    } finally {
      open.saving = false;
      open.field.readOnly = false;
    }
  }

  async #send(open, retried = false) {
    const { transcript } = this.transcript.held;
    const path = `/api/transcripts/${transcript.id}/segments/${encodeURIComponent(open.segment)}`;
    try {
      const saved = await request("PUT", path, {
        text: tidy(open.field.value),
        revision: transcript.revision,
        place: open.place,
      });
      transcript.revision = saved.revision;
      this.transcript.replace(open.place, saved.segment);
      this.#close();
      this.onSaved(saved);
    } catch (problem) {
      // Somebody changed another sentence: this one is as it was seen, so the change still stands.
      if (problem.status !== 409 || retried || problem.body.text !== open.before) throw problem;
      transcript.revision = problem.body.revision;
      open.segment = problem.body.segment.id;
      await this.#send(open, true);
    }
  }

  #conflict(open, { body }) {
    const keepMine = () => {
      this.#take(open, body);
      this.#save();
    };
    const takeTheirs = () => {
      this.#take(open, body);
      this.#close();
      this.say("Their text stays.");
    };
    open.problem.replaceChildren(
      h("p", {}, "Somebody changed this sentence in the meantime. It now reads:"),
      h("blockquote", { dir: "auto" }, body.text),
      h("p", {}, "Your text is still in the field above."),
      h("p", { class: "buttons" },
        h("button", { type: "button", onclick: keepMine }, "Save mine over it"), " ",
        h("button", { type: "button", onclick: takeTheirs }, "Keep theirs")),
    );
    open.problem.hidden = false;
    open.problem.querySelector("button").focus();
  }

  #take(open, { revision, segment, text }) {
    this.transcript.held.transcript.revision = revision;
    this.transcript.replace(open.place, segment);
    open.segment = segment.id;
    open.before = text;
    open.problem.hidden = true;
  }

  #complain(open, message) {
    open.problem.replaceChildren(h("p", {}, message));
    open.problem.hidden = false;
    open.field.focus();
  }

  #close() {
    const { element, form } = this.#open;
    this.#open = null;
    form.remove();
    element.classList.remove("open");
    element.focus({ preventScroll: true });
    this.transcript.busy = false;
    this.onMode(false);
  }
}

function tidy(text) {
  return text.normalize("NFC").split(/\s+/).filter(Boolean).join(" ");
}

function fit(field) {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + 2}px`;
}

// The speakers of the recording, and the dialog that names one.

import { request } from "./api.js";
import { clock, h } from "./dom.js";

export class Speakers {
  #number = null;
  #suggestions = [];

  constructor(section, dialog, held, { say, onRenamed }) {
    Object.assign(this, { dialog, held, say, onRenamed });
    this.form = dialog.querySelector("form");
    this.problem = dialog.querySelector(".problem");
    this.list = h("ul", { class: "voices" });
    if (held.speakers_uncertain) section.append(h("p", { class: "hint", role: "note" }, held.speakers_uncertain));
    section.append(this.list);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
    this.form.querySelector("button[value=cancel]").addEventListener("click", () => dialog.close());
    this.draw();
    this.#suggest();
  }

  draw() {
    this.list.replaceChildren(...this.held.speakers.map((speaker) => this.#line(speaker)));
    if (!this.held.speakers.length) this.list.append(h("li", { class: "empty" }, "Nobody was told apart yet."));
  }

  open(number) {
    const speaker = this.held.speakers.find((one) => one.number === number);
    if (!speaker) return;
    this.#number = number;
    this.dialog.querySelector("h2").textContent = `Who is ${speaker.label}?`;
    this.form.elements.name.value = speaker.name;
    this.form.elements.role.value = speaker.role;
    this.form.elements.everywhere.checked = false;
    this.form.elements.everywhere.closest("label").hidden = speaker.recordings < 2;
    this.problem.hidden = true;
    this.dialog.showModal();
    this.form.elements.name.select();
  }

  async #suggest() {
    try {
      this.#suggestions = (await request("GET", `/api/recordings/${this.held.id}/suggestions`)).suggestions;
    } catch (problem) {
      this.say(problem.message);
    }
    this.draw();
  }

  #line(speaker) {
    const suggested = this.#suggestions.find((one) => one.number === speaker.number);
    return h(
      "li",
      { data: { voice: (speaker.number - 1) % 6 } },
      h("span", { class: "dot", "aria-hidden": "true" }),
      h("span", { class: "name" }, speaker.label, speaker.role ? h("small", {}, speaker.role) : null, suggested && this.#suggestion(suggested)),
      h("span", { class: "amount", title: "Time this voice speaks" }, clock(speaker.speech_ms)),
      h("button", { type: "button", "aria-label": `Rename ${speaker.label}`, onclick: () => this.open(speaker.number) }, "Rename"),
    );
  }

  #suggestion({ number, person, name, sentence }) {
    return h(
      "small",
      { class: "suggestion" },
      `${sentence} `,
      h("button", { type: "button", onclick: () => this.#confirm(number, person) }, `Yes, ${name}`),
    );
  }

  async #confirm(number, person) {
    try {
      this.#saved(await request("POST", `/api/recordings/${this.held.id}/speakers/${number}/confirm`, { person }));
    } catch (problem) {
      this.say(problem.message);
    }
  }

  async #save() {
    const { name, role, everywhere } = this.form.elements;
    try {
      const saved = await request("PUT", `/api/recordings/${this.held.id}/speakers/${this.#number}`, {
        name: name.value,
        role: role.value,
        everywhere: everywhere.checked,
      });
      this.dialog.close();
      this.#saved(saved);
    } catch (problem) {
      this.problem.textContent = problem.message;
      this.problem.hidden = false;
    }
  }

  #saved(saved) {
    this.held.speakers = saved.speakers;
    if (this.held.transcript) this.held.transcript.revision = saved.revision;
    this.#suggestions = [];
    this.draw();
    this.#suggest();
    this.onRenamed(saved);
  }
}

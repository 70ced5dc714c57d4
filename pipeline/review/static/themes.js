// The themes of each passage, in its margin: an editor says that one fits, that one does not, or that another one does.
//
// What was said is sent one after the other, so that the newest answer is the one that stays. Margins that are as they
// were are left alone: a list that is open in one of them stays open.

import { request } from "./api.js";
import { h, icon } from "./dom.js";

const SAYS = { accepted: "fits", rejected: "does not fit" };
const STATES = { proposed: "Proposed", accepted: "Accepted" };

export class Themes {
  #waiting = [];
  #drawn = new WeakMap();
  #problems = [];

  constructor(transcript, held, { onSaved }) {
    Object.assign(this, { transcript, held, onSaved });
    this.draw();
  }

  draw() {
    const { activeElement } = document;
    const focused = activeElement?.closest(".margin");
    const { control } = activeElement?.dataset ?? {};
    for (const passage of this.held.passages) this.#margin(passage);
    if (focused && !activeElement.isConnected) {
      const controls = [...focused.querySelectorAll("[data-control]")];
      const same = controls.find((one) => one.dataset.control === control);
      (same ?? controls.at(-1))?.focus({ preventScroll: true });
    }
  }

  #margin(passage) {
    const section = this.transcript.section(passage);
    if (!section) return;
    const margin = section.querySelector(".margin");
    margin.setAttribute("aria-busy", String(this.#waiting.some((one) => one.passage.id === passage.id)));
    const themes = this.#themes(passage);
    const problems = this.#problems.filter((one) => one.passage.id === passage.id);
    const drawn = JSON.stringify([themes, problems]);
    if (drawn === this.#drawn.get(margin)) return;
    this.#drawn.set(margin, drawn);
    section.style.setProperty("--colour", passage.themes[0]?.colour ?? "");
    const more = this.held.codebook.filter(({ key }) => !themes.some((theme) => theme.key === key && theme.state !== "unsure"));
    margin.replaceChildren(
      h("div", { class: "themes" },
        themes.length ? h("ul", {}, themes.map((theme) => this.#theme(passage, theme))) : null,
        more.length ? this.#adder(passage, more) : null,
        problems.map((one) => this.#problem(one))),
    );
  }

  #themes(passage) {
    const shown = [...passage.themes, ...passage.rejected];
    const { nearest } = passage;
    if (nearest && !passage.themes.length && !shown.some(({ key }) => key === nearest.key)) {
      shown.unshift({ ...nearest, state: "unsure" });
    }
    return shown;
  }

  #theme(passage, theme) {
    const { name, state, colour } = theme;
    return h(
      "li",
      { class: `theme ${state}`, colour },
      h("span", { class: "name", title: because(theme) }, state === "unsure" ? `perhaps ${name}` : name),
      h("span", { class: "verdicts", role: "group", "aria-label": name },
        this.#verdict(passage, theme, "accepted"),
        this.#verdict(passage, theme, "rejected")),
    );
  }

  #verdict(passage, theme, state) {
    const says = `${theme.name} ${SAYS[state]}`;
    const pressed = theme.state === state;
    return h(
      "button",
      {
        type: "button", class: `verdict ${state}`, data: { control: `${theme.key} ${state}` },
        "aria-pressed": String(pressed),
        "aria-label": `${says}. ${because(theme)}`,
        title: `${says}${pressed ? "; press again to take it back" : ""}. ${because(theme)}`,
        onclick: () => this.#say(passage, theme, pressed ? null : state),
      },
      icon(state),
    );
  }

  #adder(passage, more) {
    const list = h(
      "select",
      {
        "aria-label": "Add a theme to this passage", data: { control: "add" },
        onkeydown: (event) => opensOnly(event, list),
        onchange: () => {
          const theme = more.find(({ key }) => key === list.value);
          list.value = "";
          if (theme) this.#say(passage, theme, "accepted");
        },
      },
      h("option", { value: "" }, "Add a theme"),
      more.map(({ key, name }) => h("option", { value: key }, name)),
    );
    return h("div", { class: "add-theme" }, list);
  }

  #problem({ passage, theme, state, message }) {
    return h(
      "div",
      { class: "problem" },
      h("p", { role: "alert" }, `${theme.name}: not saved. ${message}`),
      h("button", { type: "button", data: { control: `${theme.key} again` }, onclick: () => this.#say(passage, theme, state) }, "Try again"),
    );
  }

  #say(passage, theme, state) {
    this.#waiting.push({ passage, theme, state });
    this.#problems = this.#problems.filter((one) => one.passage.id !== passage.id || one.theme.key !== theme.key);
    this.draw();
    if (this.#waiting.length === 1) this.#send();
  }

  async #send() {
    while (this.#waiting.length) {
      const [{ passage, theme, state }] = this.#waiting;
      let saved = null;
      try {
        saved = await request("PUT", `/api/passages/${passage.id}/themes`, { themes: { [theme.key]: state } });
      } catch ({ message }) {
        this.#problems.push({ passage, theme, state, message });
      }
      this.#waiting.shift();
      if (saved) this.#take(saved);
      else this.draw();
    }
  }

  #take(saved) {
    const alike = spans(saved.passages) === spans(this.held.passages);
    this.held.passages = saved.passages;
    if (!alike) this.transcript.regroup();
    this.draw();
    this.onSaved(saved);
  }
}

function spans(passages) {
  return JSON.stringify(passages.map(({ id, segments }) => [id, segments]));
}

// Why the theme is here, as in: Proposed, 0.82, for: “The day centre closed.”
function because({ state, score, why = [] }) {
  if (state === "rejected") return "Rejected.";
  if (state === "unsure") return "No theme fits well enough to be proposed; this one is the nearest.";
  const what = [STATES[state] ?? "Not proposed", score?.toFixed(2)].filter(Boolean).join(", ");
  return why.length ? `${what}, for: ${why.map((sentence) => `“${sentence}”`).join(" ")}` : `${what}.`;
}

// On a closed list, arrows and letters choose at once in some browsers: here they open it, and Enter chooses.
function opensOnly(event, list) {
  if (event.ctrlKey || event.metaKey || event.altKey || !list.showPicker) return;
  if (!/^(Arrow\w+|Home|End|Page\w+|\S)$/.test(event.key)) return;
  event.preventDefault();
  list.showPicker();
}

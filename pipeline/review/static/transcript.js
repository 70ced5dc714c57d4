// The transcript: passages, turns, sentences, words. Words light up as they are spoken.
//
// Plain elements and one listener for all of them; the browser skips what is out of sight (content-visibility),
// so that thousands of sentences stay quick.

import { clock, h, icon } from "./dom.js";

const UNSURE_BELOW = 0.5;
const LINGER_MS = 400;
const LEAVE_ALONE_MS = 4000;

export class Transcript extends EventTarget {
  #word = null;
  #here = null;
  #handsOff = 0;

  constructor(root, held) {
    super();
    this.root = root;
    this.held = held;
    this.segments = held.transcript?.segments ?? [];
    this.elements = [];
    this.busy = false;
    root.lang = held.transcript?.language ?? "";
    root.replaceChildren(...this.#passages());
    this.#index();
    this.markClips(held.clips);
    root.addEventListener("click", (event) => this.#clicked(event));
    for (const name of ["wheel", "touchmove"]) {
      document.addEventListener(name, () => (this.#handsOff = performance.now() + LEAVE_ALONE_MS), { passive: true });
    }
  }

  label(number) {
    return this.held.speakers.find((speaker) => speaker.number === number)?.label ?? "Unknown speaker";
  }

  text(place) {
    return this.segments[place].words.map((word) => word[3]).join("").trim();
  }

  span(place) {
    const { words } = this.segments[place];
    return [words[0][1], words.at(-1)[2]];
  }

  // The sentence that has the keyboard, else the one being spoken.
  get place() {
    const focused = document.activeElement?.closest?.(".segment");
    const element = focused && this.root.contains(focused) ? focused : this.#here;
    return element ? Number(element.dataset.place) : null;
  }

  // Takes a sentence's new words, as the review saved them.
  replace(place, segment) {
    this.segments[place] = segment;
    const text = this.elements[place].querySelector(".text");
    text.replaceChildren(...words(segment));
    this.#index();
    this.show(this.nowMs ?? 0, false);
  }

  rename(speakers) {
    this.held.speakers = speakers;
    for (const button of this.root.querySelectorAll("button.who")) {
      const label = this.label(Number(button.dataset.speaker));
      button.textContent = label;
      button.title = `Rename ${label}`;
    }
  }

  // The element of a passage, when it has sentences of its own.
  section({ id }) {
    return this.root.querySelector(`.passage[data-passage="${id}"]`);
  }

  // Lays the same sentences out in other passages; one that is being edited stays so.
  regroup() {
    const focused = document.activeElement;
    this.root.replaceChildren(...this.#passages());
    if (focused?.isConnected) focused.focus({ preventScroll: true });
  }

  markClips(clips) {
    for (const mark of this.root.querySelectorAll(".clip-mark")) mark.remove();
    for (const element of this.elements) delete element.dataset.clip;
    for (const clip of clips) {
      if (!clip.segments || clip.state === "rejected") continue;
      const [first, last] = clip.segments;
      for (let place = first; place <= last; place += 1) {
        if (this.elements[place]) this.elements[place].dataset.clip = clip.state;
      }
      this.elements[first]?.querySelector(".tools").prepend(
        h("button", { type: "button", class: "clip-mark", tabindex: -1, data: { slug: clip.slug } }, "Clip"),
      );
    }
  }

  // Lights up what is spoken at this moment.
  show(nowMs, follow) {
    this.nowMs = nowMs;
    const { starts, all } = this;
    let [low, high] = [0, starts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= nowMs) low = middle + 1;
      else high = middle;
    }
    const found = all[low - 1];
    const word = found && nowMs < found.endMs + LINGER_MS ? this.#wordElement(found) : null;
    if (word !== this.#word) {
      this.#word?.classList.remove("now");
      word?.classList.add("now");
      this.#word = word;
    }
    const here = found ? this.elements[found.place] : null;
    if (here !== this.#here) {
      this.#here?.classList.remove("here");
      here?.classList.add("here");
      this.#here = here;
      if (here && follow) this.#bringIntoView(here);
    }
  }

  reveal(place) {
    const element = this.elements[place];
    if (!element) return;
    element.scrollIntoView({ block: "center" });
    // What was out of sight has only a guessed height until now.
    requestAnimationFrame(() => element.scrollIntoView({ block: "center" }));
    element.classList.add("flash");
    setTimeout(() => element.classList.remove("flash"), 1600);
  }

  placeOfWord(identity) {
    return this.segments.findIndex((segment) => segment.words.some((word) => word[0] === identity));
  }

  #index() {
    this.all = this.segments.flatMap((segment, place) =>
      segment.words.map((word, ordinal) => ({ startMs: word[1], endMs: word[2], place, ordinal })),
    );
    this.all.sort((one, other) => one.startMs - other.startMs);
    this.starts = this.all.map((word) => word.startMs);
  }

  #wordElement({ place, ordinal }) {
    return this.elements[place].querySelector(".text").children[ordinal] ?? null;
  }

  #bringIntoView(element) {
    if (this.busy || performance.now() < this.#handsOff) return;
    const { top, bottom } = element.getBoundingClientRect();
    if (top > innerHeight * 0.15 && bottom < innerHeight * 0.8) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    element.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
  }

  #passages() {
    if (!this.segments.length) {
      return [h("p", { class: "empty" }, this.held.transcript
        ? "Nobody speaks in this recording, as far as the recogniser can tell."
        : "There is no transcript yet. It appears here once `stories process` has written it down.")];
    }
    const sections = [];
    let place = 0;
    for (const passage of this.held.passages) {
      const [first, last] = passage.segments;
      if (first > place) sections.push(this.#passage(null, place, first - 1));
      const from = Math.max(first, place);
      if (last >= from) sections.push(this.#passage(passage, from, last));
      place = Math.max(place, last + 1);
    }
    if (place < this.segments.length) sections.push(this.#passage(null, place, this.segments.length - 1));
    return sections;
  }

  #passage(passage, first, last) {
    const turns = [];
    for (let place = first; place <= last; place += 1) {
      const { speaker } = this.segments[place];
      if (place === first || speaker !== this.segments[place - 1].speaker) turns.push(this.#turn(place));
      turns.at(-1).append(this.elements[place] ?? this.#segment(place));
    }
    return h(
      "section",
      { class: "passage", data: passage && { passage: passage.id } },
      h("div", { class: "turns" }, turns),
      h("aside", { class: "margin", "aria-label": passage && "Themes of this passage" }),
    );
  }

  #turn(place) {
    const { speaker } = this.segments[place];
    const who = speaker === null
      ? h("span", { class: "who" }, "Unknown speaker")
      : h("button", { type: "button", class: "who", title: `Rename ${this.label(speaker)}`, data: { speaker } }, this.label(speaker));
    return h("div", { class: "turn", data: { voice: speaker === null ? "none" : (speaker - 1) % 6 } }, h("h3", {}, who));
  }

  #segment(place) {
    const [startMs] = this.span(place);
    const element = h(
      "div",
      { class: "segment", tabindex: 0, role: "group", "aria-label": `Sentence at ${clock(startMs)}`, data: { place } },
      h("button", { type: "button", class: "at", tabindex: -1, "aria-label": `Play from ${clock(startMs)}` }, clock(startMs)),
      h("p", { class: "text", dir: "auto" }, words(this.segments[place])),
      h("span", { class: "tools" },
        h("button", { type: "button", class: "edit", tabindex: -1, title: "Edit this sentence (Enter)", "aria-label": "Edit this sentence" }, icon("edit"))),
    );
    this.elements[place] = element;
    return element;
  }

  #clicked(event) {
    const button = event.target.closest("button");
    const segment = event.target.closest(".segment");
    if (button?.matches(".who")) return this.#tell("rename", Number(button.dataset.speaker));
    if (button?.matches(".clip-mark")) return this.#tell("clip", button.dataset.slug);
    if (!segment) return undefined;
    const place = Number(segment.dataset.place);
    if (button?.matches(".edit")) return this.#tell("edit", place);
    if (button?.matches(".at")) return this.#tell("play", this.span(place)[0]);
    const word = event.target.closest(".word");
    const selecting = !getSelection().isCollapsed;
    if (word && !selecting) {
      const ordinal = [...word.parentElement.children].indexOf(word);
      return this.#tell("play", this.segments[place].words[ordinal][1]);
    }
    return undefined;
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

// The space before a word stays outside of it, so that only the word lights up.
function words(segment) {
  return segment.words.flatMap(([, , , text, probability], ordinal) => {
    const shown = text.trimStart();
    const unsure = probability < UNSURE_BELOW;
    return [
      ordinal > 0 && shown !== text ? " " : "",
      h("span", { class: unsure ? "word unsure" : "word", title: unsure && "The recogniser was not sure of this word" }, shown),
    ];
  });
}

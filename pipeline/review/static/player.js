// The player: one media element, a waveform to find one's way, and spans that stop where they should.

import { clock, h, icon } from "./dom.js";
import { Waveform } from "./waveform.js";

const RATES = [0.75, 1, 1.25, 1.5, 2];

export class Player extends EventTarget {
  #stopAtMs = null;
  #frame = 0;

  constructor(root, held) {
    super();
    this.durationMs = held.duration_ms;
    const web = held.renditions.web;
    this.media = h(held.kind === "video" ? "video" : "audio", {
      preload: "metadata",
      playsinline: true,
      src: web?.url,
      poster: held.kind === "video" ? held.renditions.poster?.url : null,
      "aria-label": held.title,
    });
    this.button = h("button", { type: "button", class: "play", "aria-label": "Play", onclick: () => this.toggle() }, icon("play"));
    this.time = h("span", { class: "time" });
    this.slider = h("input", {
      type: "range", min: 0, max: this.durationMs, step: 100, value: 0, "aria-label": "Position in the recording",
      oninput: () => this.seek(Number(this.slider.value)),
    });
    this.waveform = new Waveform(held);
    const rate = h(
      "select",
      { class: "rate", "aria-label": "Speed", onchange: () => (this.media.playbackRate = Number(rate.value)) },
      RATES.map((value) => h("option", { value, selected: value === 1 }, `${value}×`)),
    );
    const track = h("div", { class: "track" }, this.waveform.canvas, this.slider);
    root.append(this.media, h("div", { class: "controls" }, this.button, track, this.time, rate));
    root.classList.add(held.kind);
    if (held.kind === "video") this.media.addEventListener("click", () => this.toggle());
    this.#listen(root, Boolean(web));
    this.#show();
  }

  get nowMs() {
    return Math.round(this.media.currentTime * 1000);
  }

  get playing() {
    return !this.media.paused && !this.media.ended;
  }

  toggle() {
    if (this.playing) this.pause();
    else this.#play(null);
  }

  pause() {
    this.media.pause();
  }

  seek(ms) {
    this.#stopAtMs = null;
    this.media.currentTime = Math.min(Math.max(ms, 0), this.durationMs) / 1000;
    this.#show();
  }

  playFrom(ms) {
    this.seek(ms);
    this.#play(null);
  }

  playSpan(startMs, endMs) {
    this.seek(startMs);
    this.#play(endMs);
  }

  async #play(stopAtMs) {
    this.#stopAtMs = stopAtMs;
    try {
      await this.media.play();
    } catch (error) {
      // AbortError only says that a pause came before the sound did.
      if (error.name !== "AbortError") this.dispatchEvent(new CustomEvent("problem", { detail: error.message }));
    }
  }

  #listen(root, there) {
    const { media } = this;
    for (const name of ["play", "pause", "ended"]) {
      media.addEventListener(name, () => {
        this.button.replaceChildren(icon(this.playing ? "pause" : "play"));
        this.button.setAttribute("aria-label", this.playing ? "Pause" : "Play");
        root.classList.toggle("playing", this.playing);
        if (this.playing) this.#follow();
      });
    }
    for (const name of ["timeupdate", "seeked", "loadedmetadata"]) media.addEventListener(name, () => this.#show());
    media.addEventListener("error", () => {
      const why = there
        ? "The recording cannot be played: its file is missing or damaged. Run `stories process`; it makes the file again."
        : "There is no playable copy of this recording yet. Run `stories process`; the text can be read meanwhile.";
      this.dispatchEvent(new CustomEvent("problem", { detail: why }));
    });
    if (!there) queueMicrotask(() => media.dispatchEvent(new Event("error")));
  }

  // timeupdate comes only four times a second: too rarely for words.
  #follow() {
    cancelAnimationFrame(this.#frame);
    const step = () => {
      this.#show();
      if (this.playing) this.#frame = requestAnimationFrame(step);
    };
    this.#frame = requestAnimationFrame(step);
  }

  #show() {
    const now = this.nowMs;
    if (this.#stopAtMs !== null && now >= this.#stopAtMs) {
      this.#stopAtMs = null;
      this.pause();
    }
    const text = `${clock(now)} / ${clock(this.durationMs)}`;
    if (this.time.textContent !== text) {
      this.time.textContent = text;
      this.slider.setAttribute("aria-valuetext", `${clock(now)} of ${clock(this.durationMs)}`);
    }
    this.slider.value = now;
    this.waveform.draw(now);
    this.dispatchEvent(new CustomEvent("time", { detail: now }));
  }
}

// Draws how loud the recording is over time, with the themes of its passages beneath.

import { h } from "./dom.js";

const BAR = 2;
const GAP = 1;
const STRIP = 5;

export class Waveform {
  #peaks = [];
  #drawn = "";
  #colours = null;

  constructor(held) {
    this.durationMs = Math.max(held.duration_ms, 1);
    this.passages = held.passages;
    this.nowMs = 0;
    this.canvas = h("canvas", { class: "waveform", "aria-hidden": "true" });
    new ResizeObserver(() => this.#again()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#again());
    if (held.renditions.waveform) this.#load(held.renditions.waveform.url);
  }

  recolour(passages) {
    this.passages = passages;
    this.#again();
  }

  draw(nowMs) {
    this.nowMs = nowMs;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const bars = Math.max(1, Math.floor(width / (BAR + GAP)));
    const played = Math.floor((nowMs / this.durationMs) * bars);
    const drawn = `${width}x${height}:${played}:${this.#peaks.length}`;
    if (drawn === this.#drawn || !width) return;
    this.#drawn = drawn;
    this.#paint(width, height, bars, played);
  }

  #again() {
    this.#drawn = "";
    this.#colours = null;
    this.draw(this.nowMs);
  }

  async #load(url) {
    const answer = await fetch(url);
    if (!answer.ok) return; // without it the slider still works
    this.#peaks = (await answer.json()).peaks;
    this.#again();
  }

  #paint(width, height, bars, played) {
    const scale = devicePixelRatio || 1;
    Object.assign(this.canvas, { width: width * scale, height: height * scale });
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    this.#colours ??= this.#style();
    const room = height - STRIP - 5;
    for (let bar = 0; bar < bars; bar += 1) {
      const size = Math.max(2, this.#loudest(bar, bars) * room);
      pen.fillStyle = bar < played ? this.#colours.played : this.#colours.ahead;
      pen.fillRect(bar * (BAR + GAP), (room - size) / 2, BAR, size);
    }
    for (const passage of this.passages) {
      pen.fillStyle = passage.themes[0]?.colour ?? this.#colours.ahead;
      const from = (passage.start_ms / this.durationMs) * width;
      const to = (passage.end_ms / this.durationMs) * width;
      pen.fillRect(from, height - STRIP, Math.max(1, to - from - 1), STRIP);
    }
  }

  #style() {
    const style = getComputedStyle(this.canvas);
    return { played: style.getPropertyValue("--accent"), ahead: style.getPropertyValue("--wave") };
  }

  #loudest(bar, bars) {
    const per = this.#peaks.length / bars;
    const part = this.#peaks.slice(Math.floor(bar * per), Math.max(Math.floor((bar + 1) * per), Math.floor(bar * per) + 1));
    return part.length ? Math.max(...part) / 100 : 0;
  }
}

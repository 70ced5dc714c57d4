// The clips of the recording: hear exactly that span, approve it, reject it, see what was cut.

import { request } from "./api.js";
import { clock, h, icon, seconds } from "./dom.js";

const STATES = { proposed: "waits for you", approved: "approved", rejected: "rejected", "needs review": "look again" };

export class Clips {
  constructor(section, held, player, { say, onChanged, onShow }) {
    Object.assign(this, { held, player, say, onChanged, onShow });
    this.list = h("ol", { class: "clips" });
    section.append(this.list);
    this.draw(held.clips);
  }

  draw(clips) {
    this.held.clips = clips;
    this.list.replaceChildren(...clips.map((clip) => this.#card(clip)));
    if (!clips.length) this.list.append(h("li", { class: "empty" }, "No clips were proposed for this recording."));
  }

  focus(slug) {
    const card = this.#find(slug);
    card?.scrollIntoView({ block: "nearest" });
    card?.querySelector("button")?.focus();
  }

  #find(slug) {
    return [...this.list.children].find((card) => card.dataset.slug === slug);
  }

  #card(clip) {
    const { consent } = this.held;
    const why = `why-${clip.slug}`;
    const hear = h("button", { type: "button", class: "hear", "aria-label": `Hear ${clock(clip.start_ms)} to ${clock(clip.end_ms)}`, onclick: () => this.#hear(clip) }, icon("play"), "Hear it");
    const approve = h("button", {
      type: "button", class: "primary approve", disabled: !consent.allowed, "aria-describedby": consent.allowed ? null : why,
      onclick: () => this.#decide(clip, "approve"),
    }, clip.state === "needs review" ? "Approve again" : "Approve");
    const reject = h("button", { type: "button", class: "reject", onclick: () => this.#decide(clip, "reject") }, clip.state === "approved" ? "Take back" : "Reject");
    return h(
      "li",
      { class: "clip", data: { slug: clip.slug, state: clip.state } },
      h("p", { class: "line" },
        clip.theme ? h("span", { class: "theme", colour: clip.theme.colour }, clip.theme.name) : h("span", { class: "theme unsure" }, "no theme"),
        h("span", { class: "state" }, STATES[clip.state] ?? clip.state)),
      h("blockquote", { lang: this.held.transcript?.language, dir: "auto" }, clip.quote || clip.title),
      h("p", { class: "span" },
        h("button", { type: "button", class: "plain where", onclick: () => this.onShow(clip) }, `${clock(clip.start_ms)} – ${clock(clip.end_ms)}`),
        ` ${seconds(clip.end_ms - clip.start_ms)}`),
      clip.reasons.length ? h("p", { class: "reasons" }, clip.reasons.join(" · ")) : null,
      clip.lost ? h("p", { class: "problem" }, "Its words changed so much that they were not found again: listen before you decide.") : null,
      consent.allowed ? null : h("p", { class: "problem", id: why }, `Cannot be published: ${consent.reason}.`),
      h("p", { class: "buttons" }, hear, clip.state === "approved" ? null : approve, clip.state === "rejected" ? null : reject),
      h("p", { class: "problem failed", role: "alert", hidden: true }),
      clip.state === "approved" && clip.cut ? this.#cut(clip) : null,
    );
  }

  #cut(clip) {
    const { cut } = clip;
    const video = cut.media_type.startsWith("video/");
    const media = h(video ? "video" : "audio", { src: cut.url, controls: true, preload: "metadata", playsinline: true, "aria-label": "The clip as it will be published" },
      cut.captions ? h("track", { kind: "captions", src: cut.captions, srclang: this.held.transcript?.language, label: "Captions", default: true }) : null);
    media.addEventListener("play", () => this.player.pause());
    const loudness = cut.loudness_lufs === null ? "" : ` at ${cut.loudness_lufs.toFixed(1).replace("-", "−")} LUFS`;
    return h("div", { class: "cut" },
      media,
      h("p", {}, `This is what will be published: ${seconds(cut.duration_ms ?? clip.end_ms - clip.start_ms)}${loudness}`,
        this.held.consent.pseudonymise ? ", without the storyteller’s name" : "", ".",
        clip.approved ? ` Approved by ${clip.approved.author}.` : null));
  }

  #hear(clip) {
    this.onShow(clip, false);
    this.player.playSpan(clip.start_ms, clip.end_ms);
  }

  async #decide(clip, verdict) {
    const card = this.#find(clip.slug);
    const buttons = card.querySelectorAll(".buttons button");
    const pressed = card.querySelector(`.${verdict}`);
    const label = pressed.textContent;
    card.setAttribute("aria-busy", "true");
    buttons.forEach((button) => (button.disabled = true));
    pressed.textContent = verdict === "approve" ? "Cutting …" : "Saving …";
    if (verdict === "approve") this.say("The clip is being cut; this can take a moment.");
    try {
      const saved = await request("POST", `/api/clips/${encodeURIComponent(clip.slug)}/${verdict}`, {});
      this.draw(saved.clips);
      this.onChanged(saved);
      this.focus(clip.slug);
    } catch (problem) {
      const failed = card.querySelector(".failed");
      failed.textContent = problem.message;
      failed.hidden = false;
      pressed.textContent = label;
      buttons.forEach((button) => (button.disabled = button.matches(".approve") && !this.held.consent.allowed));
      card.removeAttribute("aria-busy");
    }
  }
}

// The keyboard, and the line that tells what it does.

import { h, isTyping } from "./dom.js";

const SKIP_MS = 5000;
const READING = [["Space", "play or pause"], ["← →", "5 seconds"], ["Tab", "next sentence"], ["Enter", "edit it"], ["Esc", "leave it"]];
const EDITING = [["Enter", "save"], ["Esc", "cancel"], ["Tab", "hear this sentence"]];

export function helpLine(element, editing) {
  const keys = (editing ? EDITING : READING).map(([key, does]) => h("span", {}, h("kbd", {}, key), ` ${does}`));
  element.replaceChildren(...keys);
}

// A sentence reached with Tab is heard from its start; one that was clicked does not call the player back.
function tabbedPlace(transcript) {
  let [byTab, place] = [false, null];
  document.addEventListener("keydown", (event) => (byTab = event.key === "Tab"), true);
  document.addEventListener("pointerdown", () => (byTab = false), true);
  transcript.root.addEventListener("focusin", () => (place = byTab ? transcript.place : null));
  transcript.root.addEventListener("focusout", () => (place = null));
  return () => [place, (place = null)][0];
}

export function listen(player, transcript, editor) {
  const takeTabbed = tabbedPlace(transcript);
  const space = () => {
    const place = player.playing ? null : takeTabbed();
    if (place === null) player.toggle();
    else player.playFrom(transcript.span(place)[0]);
  };
  document.addEventListener("keydown", (event) => {
    const { target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(target)) return;
    if (document.querySelector("dialog[open]")) return;
    const onControl = target.closest("button, a, summary, video[controls], audio[controls], input");
    const onSlider = target.matches("input[type=range]");
    if (event.key === " " && (!onControl || onSlider)) space();
    else if (event.key === "ArrowLeft" && (!onControl || onSlider)) player.seek(player.nowMs - SKIP_MS);
    else if (event.key === "ArrowRight" && (!onControl || onSlider)) player.seek(player.nowMs + SKIP_MS);
    else if (event.key === "Enter" && !onControl && transcript.place !== null) editor.edit(transcript.place);
    else if (event.key === "Escape") target.blur();
    else return;
    event.preventDefault();
  });
}

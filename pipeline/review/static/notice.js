// Says politely what was done, and what went wrong.

import { h } from "./dom.js";

const status = document.getElementById("status");
const notices = document.getElementById("notices");

export function say(message) {
  status.textContent = message;
  status.classList.remove("fresh");
  void status.offsetWidth; // restarts the animation
  status.classList.add("fresh");
}

export function warn(message, kind = "bad") {
  const notice = h(
    "p",
    { class: `notice ${kind}`, role: kind === "bad" ? "alert" : "note" },
    message,
    " ",
    h("button", { type: "button", class: "plain", "aria-label": "Close this message", onclick: () => notice.remove() }, "×"),
  );
  notices.append(notice);
}

// One recording: reads it, and joins player, transcript, clips and speakers.

import { request } from "./api.js";
import { Clips } from "./clips.js";
import { Editor } from "./editor.js";
import { helpLine, listen } from "./keys.js";
import { say, warn } from "./notice.js";
import { Player } from "./player.js";
import { Speakers } from "./speakers.js";
import { Themes } from "./themes.js";
import { Transcript } from "./transcript.js";

const find = (id) => document.getElementById(id);

function tellConsent({ consent }) {
  if (!consent.allowed) warn(`Nothing of this recording can be published: ${consent.reason}.`, "quiet");
  else if (consent.pseudonymise) warn("The storyteller stays anonymous: what is published carries no name.", "quiet");
}

function goToHash(transcript, player) {
  const wanted = /^#w-(.+)$/.exec(location.hash)?.[1];
  if (!wanted) return;
  const place = transcript.placeOfWord(decodeURIComponent(wanted));
  if (place < 0) return;
  transcript.reveal(place);
  player.seek(transcript.span(place)[0]);
}

async function open(id) {
  const held = await request("GET", `/api/recordings/${id}`);
  held.failures.forEach((failure) => warn(failure));
  tellConsent(held);

  const player = new Player(find("player"), held);
  const transcript = new Transcript(find("transcript"), held);
  const editor = new Editor(transcript, player, {
    say,
    onMode: (editing) => helpLine(find("help"), editing),
    onSaved: (saved) => {
      clips.draw(saved.clips);
      transcript.markClips(saved.clips);
      say(saved.message);
    },
  });
  const clips = new Clips(find("clips"), held, player, {
    say,
    onChanged: (saved) => {
      transcript.markClips(saved.clips);
      say(saved.message);
    },
    onShow: (clip) => clip.segments && transcript.reveal(clip.segments[0]),
  });
  const speakers = new Speakers(find("speakers"), find("speaker-dialog"), held, {
    say,
    onRenamed: (saved) => {
      transcript.rename(saved.speakers);
      clips.draw(saved.clips);
      transcript.markClips(saved.clips);
      say(saved.message);
    },
  });
  new Themes(transcript, held, {
    onSaved: (saved) => {
      player.waveform.recolour(saved.passages);
      say(saved.message);
    },
  });

  player.addEventListener("time", ({ detail }) => transcript.show(detail, player.playing));
  player.addEventListener("problem", ({ detail }) => warn(detail));
  transcript.addEventListener("play", ({ detail }) => player.playFrom(detail));
  transcript.addEventListener("edit", ({ detail }) => editor.edit(detail));
  transcript.addEventListener("rename", ({ detail }) => speakers.open(detail));
  transcript.addEventListener("clip", ({ detail }) => clips.focus(detail));
  listen(player, transcript, editor);
  helpLine(find("help"), false);
  addEventListener("hashchange", () => goToHash(transcript, player));
  goToHash(transcript, player);
  document.querySelector(".desk").setAttribute("aria-busy", "false");
}

open(find("main").dataset.recording).catch((problem) => {
  find("transcript").replaceChildren();
  warn(problem.message);
  throw problem;
});

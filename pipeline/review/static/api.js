// Talks to the review. Every failure becomes a Problem whose message can be shown as it is.

export class Problem extends Error {
  constructor(message, { status = 0, body = {} } = {}) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

const meta = document.querySelector("meta[name=stories-token]");

async function ask(method, path, change) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") {
    headers["X-Stories-Token"] = meta.content;
    headers["Content-Type"] = "application/json";
  }
  try {
    return await fetch(path, { method, headers, body: change === undefined ? undefined : JSON.stringify(change) });
  } catch {
    throw new Problem("The review does not answer; is it still running in its terminal? Nothing you typed is lost: try again.");
  }
}

async function renewToken() {
  const answer = await ask("GET", "/api/token");
  if (answer.ok) meta.content = (await answer.json()).token;
  return answer.ok;
}

export async function request(method, path, change) {
  let answer = await ask(method, path, change);
  let body = await answer.json().catch(() => ({}));
  if (answer.status === 403 && body.error === "token" && (await renewToken())) {
    // The review was started again since this page was opened: the change is still good.
    answer = await ask(method, path, change);
    body = await answer.json().catch(() => ({}));
  }
  if (!answer.ok) {
    throw new Problem(body.message ?? `The review answered with error ${answer.status}.`, { status: answer.status, body });
  }
  return body;
}

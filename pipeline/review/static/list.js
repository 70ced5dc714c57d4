// While something is being processed, the list is read again every few seconds.

const EVERY_MS = 4000;

async function refresh() {
  const main = document.getElementById("main");
  if (main.dataset.refresh !== "yes") return;
  if (!document.hidden && !main.contains(document.activeElement)) {
    try {
      const answer = await fetch(location.href);
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        main.replaceWith(document.adoptNode(page.getElementById("main")));
      }
    } catch (error) {
      // The review may have been closed; the list stays as it is and asks again.
      console.info("The list could not be read again:", error.message);
    }
  }
  setTimeout(refresh, EVERY_MS);
}

setTimeout(refresh, EVERY_MS);

// Keeps the page of the Patrol door up to date. Without it the page is complete, and stands still.

const EVERY_MS = 2000;

/** Whether somebody is typing a secret, which a fresh page would lose. */
const isTyping = () => document.activeElement instanceof HTMLInputElement;

async function refresh() {
  if (document.hidden || isTyping()) return;
  const answer = await fetch(location.pathname, { headers: { Accept: 'text/html' } });
  if (!answer.ok || isTyping()) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const [now, next] = [document.querySelector('main'), fresh.querySelector('main')];
  if (now && next) now.replaceWith(document.adoptNode(next));
}

async function keepFresh() {
  try {
    await refresh();
  } catch {
    // The server is away: the next turn asks again.
  }
  setTimeout(keepFresh, EVERY_MS);
}

setTimeout(keepFresh, EVERY_MS);

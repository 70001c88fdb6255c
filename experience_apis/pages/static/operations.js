// Replaces the board with what the server renders whenever its totals change.
const RETRY_MS = 2000;
const board = document.getElementById("board");
const live = document.getElementById("live");

function say(state) {
  live.textContent = state;
  live.className = state;
}

function listen() {
  const stream = new EventSource(board.dataset.stream);
  stream.addEventListener("open", () => say("live"));
  stream.addEventListener("board", (event) => { board.innerHTML = event.data; });
  stream.addEventListener("error", () => {
    say("reconnecting");
    // The browser tries again by itself after a lost line, but not after an answer that is no
    // stream: what the gateway says while the tier behind it is starting again.
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, RETRY_MS);
  });
}

listen();

// Replaces the board with what the server renders whenever its totals change.
const board = document.getElementById("board");
const live = document.getElementById("live");
const stream = new EventSource(board.dataset.stream);
stream.addEventListener("open", () => { live.textContent = "live"; });
stream.addEventListener("error", () => { live.textContent = "reconnecting"; });
stream.addEventListener("board", (event) => { board.innerHTML = event.data; });

// A click on a column's head sorts its table: numbers by data-value, other cells by their text, rows without a cell there last.
function place(row, column) {
  let at = 0;
  for (const cell of row.cells) {
    if (at === column && cell.colSpan === 1) return cell;
    at += cell.colSpan;
  }
  return null;
}
function compare(a, b) {
  const [x, y] = [a.dataset.value, b.dataset.value];
  if (x !== undefined && y !== undefined) return x - y;
  if ((x === undefined) !== (y === undefined)) return x === undefined ? 1 : -1;
  return a.textContent.localeCompare(b.textContent, undefined, { numeric: true });
}
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, body = head.closest("table").tBodies[0];
    const sign = head.ariaSort === "ascending" ? -1 : 1, column = head.cellIndex;
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const rows = [...body.rows].map((row) => [row, place(row, column)]);
    rows.sort(([, a], [, b]) => (a === null) - (b === null) || (a === null ? 0 : sign * compare(a, b)));
    body.append(...rows.map(([row]) => row));
  });
}

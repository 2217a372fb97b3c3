// A click on a column's head sorts its table: numbers by data-value, then other cells by their text, then rows without any.
function place(row, column) {
  let at = 0;
  for (const cell of row.cells) {
    if (at === column && cell.colSpan === 1) return cell;
    at += cell.colSpan;
  }
  return null;
}
function compare(a, b, sign) {
  const [x, y] = [a?.dataset.value, b?.dataset.value];
  if (x !== undefined && y !== undefined) return sign * (Number(x) - Number(y) || 0);
  if (x !== undefined || y !== undefined) return x === undefined ? 1 : -1;
  if (!a || !b) return !a - !b;
  return sign * a.textContent.localeCompare(b.textContent, undefined, { numeric: true });
}
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, body = head.closest("table").tBodies[0];
    const sign = head.ariaSort === "ascending" ? -1 : 1, column = head.cellIndex;
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const rows = [...body.rows].map((row) => [row, place(row, column)]);
    rows.sort(([, a], [, b]) => compare(a, b, sign));
    body.append(...rows.map(([row]) => row));
  });
}

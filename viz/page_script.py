"""Script that all pages share: it sorts and filters tables and enlarges images. Without it all is there to read."""

from typing import Final

SCRIPT: Final = """
(() => {
  const value = cell => {
    const text = cell ? cell.textContent.trim().replace(/\\u2212/g, '-') : '';
    const number = parseFloat(text.replace(/^[^\\d+.-]*/, ''));
    return [Number.isNaN(number) || !/^[\\[(]?[+-]?[\\d.]/.test(text) ? null : number, text];
  };
  const order = (column, sign) => (one, other) => {
    const [a, textA] = value(one.cells[column]), [b, textB] = value(other.cells[column]);
    if (a !== null && b !== null) return sign * (a - b);
    if ((a === null) !== (b === null)) return a === null ? 1 : -1;
    return sign * textA.localeCompare(textB, undefined, {numeric: true});
  };
  for (const table of document.querySelectorAll('table')) {
    const [head, ...rows] = table.rows;
    const plain = head && [...head.cells].every(cell => cell.tagName === 'TH' && cell.colSpan === 1);
    const whole = rows.every(row => [...row.cells].every(cell => cell.tagName === 'TD' && cell.colSpan === 1));
    if (!plain || !whole || rows.length < 3) continue;
    const moving = rows.filter(row => !row.classList.contains('total'));
    const kept = rows.filter(row => !moving.includes(row));
    [...head.cells].forEach((cell, column) => {
      const sort = () => {
        const down = cell.getAttribute('aria-sort') === 'ascending';
        [...head.cells].forEach(other => other.removeAttribute('aria-sort'));
        cell.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        const parent = rows[0].parentNode;
        [...moving].sort(order(column, down ? -1 : 1)).concat(kept).forEach(row => parent.append(row));
      };
      cell.classList.add('sorts');
      cell.tabIndex = 0;
      cell.title ||= 'sort by this column';
      cell.addEventListener('click', sort);
      cell.addEventListener('keydown', event => {
        if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); sort(); }
      });
    });
    if (moving.length > 12) {
      const box = document.createElement('input');
      Object.assign(box, {type: 'search', className: 'filter', placeholder: 'filter ' + moving.length + ' rows'});
      box.setAttribute('aria-label', 'filter rows');
      box.addEventListener('input', () => moving.forEach(row => {
        row.hidden = !row.textContent.toLowerCase().includes(box.value.toLowerCase());
      }));
      table.before(box);
    }
  }
  const dialog = document.createElement('dialog');
  dialog.className = 'enlarged';
  dialog.addEventListener('click', () => dialog.close());
  document.body.append(dialog);
  document.addEventListener('click', event => {
    const image = event.target.closest('figure img, figure.plate svg');
    if (!image || dialog.contains(image)) return;
    const box = image.getBoundingClientRect(), copy = image.cloneNode(true);
    copy.removeAttribute('style');
    dialog.style.setProperty('--aspect', box.width / box.height);
    dialog.classList.toggle('plate', copy.tagName !== 'IMG');
    dialog.replaceChildren(copy);
    dialog.showModal();
  });
})();
"""

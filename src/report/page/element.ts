/** Creates elements of the page. Foreign text is inserted as text, never as markup. */

export type Child = Node | string | null;

/** Attributes are set unchanged. None is a style or a handler, which the page's policy would block. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  return filled(document.createElement(tag), attributes, children);
}

export function drawing<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | number>> = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  return filled(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function filled<E extends Element>(
  made: E,
  attributes: Readonly<Record<string, string | number>>,
  children: readonly Child[],
): E {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  for (const child of children) {
    if (child !== null) made.append(typeof child === 'string' ? visible(child) : child);
  }
  return made;
}

/** Replaces control characters by visible symbols, and characters that change the text direction by a square. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, (char) =>
    char < ' ' ? String.fromCharCode(0x2400 + char.charCodeAt(0)) : '\u25a1',
  );
}

/** A section with its heading; `id` can be the target of a link. */
export function section(id: string, title: string, ...children: readonly Child[]): HTMLElement {
  return element(
    'section',
    { id, 'aria-labelledby': `${id}-title` },
    element('h2', { id: `${id}-title` }, title),
    ...children,
  );
}

export interface TableColumn {
  readonly title: string;
  readonly right?: boolean;
}

/** A table that scrolls if it is wider than the page. */
export function table(
  label: string,
  columns: readonly TableColumn[],
  rows: readonly (readonly Child[])[],
): HTMLElement {
  const side = ({ right }: TableColumn): Record<string, string> => (right ? { class: 'number' } : {});
  const head = columns.map((column) => element('th', { scope: 'col', ...side(column) }, column.title));
  const body = rows.map((cells) =>
    element('tr', {}, ...cells.map((cell, c) => element('td', side(columns[c]!), cell))),
  );
  return element(
    'div',
    { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': label },
    element('table', {}, element('thead', {}, element('tr', {}, ...head)), element('tbody', {}, ...body)),
  );
}

/** A collapsed section under a line that opens it. `fill` is called each time it opens. */
export function folded(summary: string, fill: () => Child): HTMLDetailsElement {
  const place = element('div');
  const details = element('details', {}, element('summary', {}, summary), place);
  details.addEventListener('toggle', () => {
    place.replaceChildren(...(details.open ? [fill()].filter((child) => child !== null) : []));
  });
  return details;
}

/** Plain-text tables: columns as wide as their widest cell. */

export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

/** Rows of cells under their titles; without rule lines, so that other tools can cut and sort it. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map(({ title }, c) => Math.max(title.length, ...rows.map((row) => row[c]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    columns
      .map(({ right }, c) => (right ? (cells[c] ?? '').padStart(widths[c]!) : (cells[c] ?? '').padEnd(widths[c]!)))
      .join('  ')
      .trimEnd();
  return [line(columns.map(({ title }) => title)), ...rows.map(line)].join('\n');
}

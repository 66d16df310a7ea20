/** Figures in words, as all lines of a proof give them. */

export function gibibytes(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.ceil(bytes / 2 ** 20)} MiB`;
}

export function rate(rowsPerSecond: number): string {
  return `${rowsPerSecond.toFixed(rowsPerSecond < 100 ? 1 : 0)} rows/s`;
}

export function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

/** Bytes for `memory=`, rounded up. */
export function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)}MiB`;
}

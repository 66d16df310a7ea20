/** Progress on stderr: a bar on a terminal, a plain line at intervals elsewhere. */
import type { StageUse } from '../pipeline/timeline.js';

export interface ProgressView {
  readonly rows: number;
  readonly failedRows: number;
  /** Rows in all, where the source told. */
  readonly total: number | null;
  readonly seconds: number;
  readonly uses: readonly StageUse[];
}

/** A terminal is redrawn at most this often, in milliseconds. */
const REDRAW_EVERY = 100;
/** Without a terminal, milliseconds between lines. */
const LINE_EVERY = 10_000;
const BAR_WIDTH = 24;

export class ProgressBar {
  readonly #stream: NodeJS.WriteStream;
  readonly #names: readonly string[];
  #shownAt = 0;
  #drawn = false;

  constructor(stream: NodeJS.WriteStream, names: readonly string[]) {
    this.#stream = stream;
    this.#names = names;
    this.#shownAt = this.#live ? 0 : performance.now();
  }

  /** A bar is drawn over itself only where a terminal can do that. */
  get #live(): boolean {
    return this.#stream.isTTY === true && process.env.TERM !== 'dumb';
  }

  show(view: () => ProgressView): void {
    const now = performance.now();
    if (now - this.#shownAt < (this.#live ? REDRAW_EVERY : LINE_EVERY)) return;
    this.#shownAt = now;
    const line = formatProgress(view(), this.#names);
    if (!this.#live) this.#stream.write(`${line}\n`);
    else {
      this.#stream.write(`\r\x1b[K${line.slice(0, Math.max(20, (this.#stream.columns ?? 80) - 1))}`);
      this.#drawn = true;
    }
  }

  /** Takes the bar away. */
  clear(): void {
    if (this.#drawn) this.#stream.write('\r\x1b[K');
    this.#drawn = false;
  }
}

/** `━━━━━━╌╌╌╌  52 %  1,024/1,797 rows  388 rows/s  eta 0:02  cpu 97 % | cpu 99 %` */
export function formatProgress(
  { rows, failedRows, total, seconds, uses }: ProgressView,
  names: readonly string[],
): string {
  const rate = seconds > 0 ? rows / seconds : 0;
  const count =
    total === null
      ? `${rows.toLocaleString('en')} rows`
      : `${rows.toLocaleString('en')}/${total.toLocaleString('en')} rows`;
  const parts = [count, `${formatRate(rate)} rows/s`];
  if (total !== null && total > 0) {
    const filled = Math.round((rows / total) * BAR_WIDTH);
    parts.unshift(
      `${'━'.repeat(filled)}${'╌'.repeat(BAR_WIDTH - filled)} ${String(Math.floor((rows / total) * 100)).padStart(3)} %`,
    );
    if (rate > 0) parts.push(`eta ${formatClock((total - rows) / rate)}`);
  }
  if (failedRows > 0) parts.push(`${failedRows} failed`);
  parts.push(uses.map(({ utilisation }, j) => `${names[j]} ${Math.round(utilisation * 100)} %`).join(' | '));
  return parts.join('  ');
}

export function formatRate(rate: number): string {
  return rate >= 100 ? Math.round(rate).toLocaleString('en') : rate.toPrecision(3);
}

/** Seconds as 0:07 or 1:02:03. */
export function formatClock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number) => String(n).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

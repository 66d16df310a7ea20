/** Progress on stderr: a bar on a terminal, a plain line at intervals elsewhere. */
import { formatRows, grouped } from '../grouped-digits.js';

export interface ProgressView {
  readonly rows: number;
  /** Rows that earlier runs have written; they do not count for the rate. */
  readonly rowsBefore?: number;
  readonly failedRows: number;
  /** Rows in all; `null` if the source does not know. */
  readonly total: number | null;
  readonly seconds: number;
  /** In order; `utilisation` is 0 … 1. */
  readonly stages: readonly { readonly device: string; readonly utilisation: number }[];
}

export interface ProgressOptions {
  /** No notes and no progress; lines are still written. */
  readonly quiet?: boolean;
  /** A terminal is redrawn at most this often, in milliseconds. */
  readonly redrawEvery?: number;
  /** Without a terminal, milliseconds between lines. */
  readonly lineEvery?: number;
}

const BAR_WIDTH = 24;

export class ProgressBar {
  readonly #stream: NodeJS.WriteStream;
  readonly #quiet: boolean;
  /** A bar is drawn over itself only where a terminal can do that. */
  readonly #live: boolean;
  /** Milliseconds from one showing to the next. */
  readonly #every: number;
  #shownAt = performance.now();
  #drawn = false;

  constructor(
    stream: NodeJS.WriteStream,
    { quiet = false, redrawEvery = 100, lineEvery = 10_000 }: ProgressOptions = {},
  ) {
    this.#stream = stream;
    this.#quiet = quiet;
    this.#live = stream.isTTY === true && process.env.TERM !== 'dumb';
    this.#every = this.#live ? redrawEvery : lineEvery;
  }

  /** Shows what is being done while there is nothing to count; only on a terminal, where it can be erased. */
  note(text: string): void {
    if (this.#live && !this.#quiet) this.#draw(text);
  }

  /** Calls between two redraws do nothing; `view` is not called then. */
  show(view: () => ProgressView): void {
    const now = performance.now();
    if (this.#quiet || now - this.#shownAt < this.#every) return;
    this.#shownAt = now;
    const line = formatProgress(view());
    if (this.#live) this.#draw(line);
    else this.#stream.write(`${line}\n`);
  }

  /** Writes text that stays: one or more lines, each with its newline. */
  line(text: string): void {
    this.clear();
    this.#stream.write(text);
  }

  /** Erases the bar. */
  clear(): void {
    if (this.#drawn) this.#stream.write('\r\x1b[K');
    this.#drawn = false;
  }

  #draw(line: string): void {
    // A terminal that does not know its width reports 0.
    this.#stream.write(`\r\x1b[K${line.slice(0, Math.max(20, (this.#stream.columns || 80) - 1))}`);
    this.#drawn = true;
  }
}

/** The listeners of planning: steps replace each other in the bar, cautions stay. */
export function planningNotes(bar: ProgressBar, quiet = false) {
  return {
    onProgress: (text: string) => bar.note(text),
    onCaution: (text: string) => {
      if (!quiet) bar.line(`${text}\n`);
    },
  };
}

/** `━━━━━━╌╌╌╌  52 %  1,024/1,797 rows  388 rows/s  eta 0:02  cpu 97 % | cpu 99 %` */
function formatProgress({ rows, rowsBefore = 0, failedRows, total, seconds, stages }: ProgressView): string {
  const rate = seconds > 0 ? (rows - rowsBefore) / seconds : 0;
  const parts: string[] = [];
  if (total === null) parts.push(formatRows(rows));
  else parts.push(formatBar(total > 0 ? rows / total : 1), `${grouped(rows)}/${formatRows(total)}`);
  parts.push(`${formatRate(rate)} rows/s`);
  if (total !== null && rate > 0) parts.push(`eta ${formatClock((total - rows) / rate)}`);
  if (failedRows > 0) parts.push(`${grouped(failedRows)} failed`);
  parts.push(stages.map(({ device, utilisation }) => `${device} ${Math.round(utilisation * 100)} %`).join(' | '));
  return parts.join('  ');
}

function formatBar(share: number): string {
  const filled = Math.round(share * BAR_WIDTH);
  return `${'━'.repeat(filled)}${'╌'.repeat(BAR_WIDTH - filled)} ${String(Math.floor(share * 100)).padStart(3)} %`;
}

/** Three significant digits, and all digits before the point. */
export function formatRate(rate: number): string {
  return rate >= 99.95 ? grouped(Math.round(rate)) : rate.toPrecision(3);
}

/** `97 %`. A measured share may be a little below 0. */
export function formatShare(share: number): string {
  return `${Math.max(0, Math.round(share * 100))} %`;
}

/** Seconds as 0:07 or 1:02:03. */
export function formatClock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number) => String(n).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

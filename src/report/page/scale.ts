/** Scales: the round values on an axis and their text. */

/** Round steps of 1, 2 or 5, at most `most` of them within [from, to]. */
export function ticks(from: number, to: number, most: number): number[] {
  const rough = (to - from) / Math.max(1, most);
  if (!(rough > 0)) return [];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const found: number[] = [];
  for (let n = Math.ceil(from / step); n * step <= to; n++) found.push(n * step);
  return found;
}

/** A time window, in microseconds. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

/** A time as the axis of a window shows it: one unit for all ticks, and as many digits as the steps need. */
export function axisTime(time: number, { from, to }: Window): string {
  const length = to - from;
  const [unit, scale] =
    length < 2000 ? ['µs', 1] : length < 2e6 ? ['ms', 1e3] : length < 6e8 ? ['s', 1e6] : ['min', 6e7];
  const digits = Math.max(0, Math.ceil(-Math.log10(length / 8 / Number(scale)) - 0.001));
  const value = (time / Number(scale)).toLocaleString('en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return `${value}\u2009${unit}`;
}

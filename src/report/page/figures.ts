/** Formats figures for people. */

export function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** Three significant digits, and all digits before the point. */
export function rate(value: number): string {
  return value >= 99.95 ? count(value) : value.toPrecision(3);
}

export function percent(share: number): string {
  return `${Math.round(share * 100)}\u2009%`;
}

export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let left = value;
  let unit = 0;
  while (left >= 1023.5 && unit < units.length - 1) {
    left /= 1024;
    unit += 1;
  }
  return `${unit === 0 || left >= 99.95 ? left.toFixed(0) : left.toFixed(1)}\u00a0${units[unit]}`;
}

/** Microseconds with all digits, the unit of the timeline. */
export function micros(value: number): string {
  return `${count(value)}\u00a0µs`;
}

/** Seconds in a suitable unit: `412 µs`, `28.1 ms`, `3.42 s`, `2 min 05 s`, `1 h 02 min`. */
export function duration(seconds: number): string {
  if (seconds < 0.000_999_5) return `${(seconds * 1e6).toFixed(0)}\u00a0µs`;
  if (seconds < 0.999_5) return `${(seconds * 1e3).toPrecision(3)}\u00a0ms`;
  if (seconds < 99.95) return `${seconds.toPrecision(3)}\u00a0s`;
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)}\u00a0min ${two(whole % 60)}\u00a0s`;
  return `${Math.floor(whole / 3600)}\u00a0h ${two(Math.floor(whole / 60) % 60)}\u00a0min`;
}

/** `1 row`, `1,024 rows`. */
export function several(value: number, noun: string): string {
  return `${count(value)}\u00a0${noun}${value === 1 ? '' : noun.endsWith('batch') ? 'es' : 's'}`;
}

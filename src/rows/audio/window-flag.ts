/** The text of `--window 512,hop=512,lead=64,rate=16000`, as settings. */
import { TandemError } from '../../errors.js';

/** All in samples. */
export interface WindowSettings {
  /** Samples of one window. */
  readonly length: number;
  /** From the beginning of a window to that of the next. */
  readonly hop: number;
  /** The first window begins so many samples before the file: zeros. */
  readonly lead: number;
  /** Samples in a second that files must have; absent: that of `--set sr=`. */
  readonly rate?: number;
}

const KEYS = ['hop', 'lead', 'rate'] as const;
const MOST = 2 ** 31;

/** Throws TANDEM_USAGE. */
export function parseWindow(text: string, where: string): WindowSettings {
  const [first, ...more] = text.split(',').map((part) => part.trim());
  const length = count(first!, 1, `${where}: "${first}"`);
  const found: Partial<Record<(typeof KEYS)[number], number>> = {};
  for (const part of more) {
    const [name, value = ''] = part.split('=', 2);
    const key = KEYS.find((known) => known === name);
    if (!key || key in found) {
      throw new TandemError(
        'TANDEM_USAGE',
        `${where}: "${part}" is ${key ? 'given twice' : 'no setting of a window'}`,
        {
          remedy: `write SAMPLES, then any of ${KEYS.map((known) => `${known}=N`).join(', ')}`,
        },
      );
    }
    found[key] = count(value, key === 'lead' ? 0 : 1, `${where}: ${part}`);
  }
  const { hop = length, lead = 0, rate } = found;
  if (hop > length || lead >= length) {
    throw new TandemError(
      'TANDEM_USAGE',
      `${where}: hop=${hop} and lead=${lead} do not fit windows of ${length} samples`,
      {
        remedy: 'the hop is at most the window, or samples would be left out, and the lead is less than it',
      },
    );
  }
  return { length, hop, lead, ...(rate !== undefined && { rate }) };
}

/** Windows of a file: all that hold a sample of it; the last is filled up with zeros. */
export function windowsOf(samples: number, { length, hop, lead }: WindowSettings): number {
  return Math.max(0, Math.ceil((samples + lead - length) / hop)) + 1;
}

function count(text: string, least: number, what: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value < MOST) return value;
  throw new TandemError('TANDEM_USAGE', `${what} is not a number of samples`, {
    remedy: 'for example: --window 512,hop=256,rate=16000',
  });
}

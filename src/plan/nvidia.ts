/** The NVIDIA driver and its cards, asked of the driver itself: no CUDA library is loaded. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Room } from './machine.js';

export interface NvidiaCard {
  readonly name: string;
  /** Memory of the card; null where only the driver's own files could be read. */
  readonly memory: Room | null;
}

export interface NvidiaDriver {
  /** As the driver tells it: `550.54.14`. */
  readonly version: string;
  /** Those that CUDA_VISIBLE_DEVICES lets be seen, in its order, else all in the driver's: that of `gpu:0`, `gpu:1`. */
  readonly cards: readonly NvidiaCard[];
}

const MEBIBYTE = 2 ** 20;
const QUERY = ['--query-gpu=driver_version,memory.total,memory.free,uuid,name', '--format=csv,noheader,nounits'];

/** The driver, or null where there is none. `root` stands before /proc; `smi` is the driver's own program. */
export function readNvidiaDriver(
  root = '/',
  smi = 'nvidia-smi',
  visible = process.env.CUDA_VISIBLE_DEVICES,
): NvidiaDriver | null {
  const found = askProgram(smi) ?? readDriverFiles(join(root, 'proc/driver/nvidia'));
  if (found === null) return null;
  const { version, cards } = found;
  return { version, cards: visibleCards(cards, visible).map(({ name, memory }) => ({ name, memory })) };
}

interface IdentifiedCard extends NvidiaCard {
  /** `GPU-…`; null where only the driver's own files could be read. */
  readonly uuid: string | null;
}

/** By CUDA's rule: numbers, or beginnings of UUIDs; the first that is no card ends the list. */
function visibleCards(cards: readonly IdentifiedCard[], visible: string | undefined): readonly IdentifiedCard[] {
  if (visible === undefined) return cards;
  const chosen: IdentifiedCard[] = [];
  for (const entry of visible.split(',').map((each) => each.trim())) {
    const card = /^\d+$/.test(entry)
      ? cards[Number(entry)]
      : cards.find(({ uuid }) => entry && uuid?.startsWith(entry));
    if (!card) break;
    chosen.push(card);
  }
  return chosen;
}

interface Answer {
  readonly version: string;
  readonly cards: readonly IdentifiedCard[];
}

function askProgram(smi: string): Answer | null {
  let answer: string;
  try {
    answer = execFileSync(smi, QUERY, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 10_000 });
  } catch {
    return null;
  }
  const rows = answer
    .trim()
    .split('\n')
    .map((line) => line.split(',').map((field) => field.trim()));
  const version = rows[0]?.[0];
  if (!version) return null;
  const cards = rows.map(([, total, free, uuid, ...name]) => ({
    name: name.join(', '),
    uuid: uuid ?? null,
    // "[N/A]" on cards that share the machine's memory
    memory: Number(total) > 0 ? { total: Number(total) * MEBIBYTE, free: Number(free) * MEBIBYTE } : null,
  }));
  return { version, cards };
}

function readDriverFiles(folder: string): Answer | null {
  try {
    const version = /Kernel Module(?: for \S+)?\s+([\d.]+)/.exec(readFileSync(join(folder, 'version'), 'utf8'))?.[1];
    if (version === undefined) return null;
    const cards = readdirSync(join(folder, 'gpus')).map((bus) => {
      const information = readFileSync(join(folder, 'gpus', bus, 'information'), 'utf8');
      return { name: /^Model:\s+(.+)$/m.exec(information)?.[1] ?? 'NVIDIA card', uuid: null, memory: null };
    });
    return { version, cards };
  } catch {
    return null;
  }
}

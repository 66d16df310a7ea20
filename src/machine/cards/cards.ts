/** All graphics cards of this machine, of every maker, in the order of `gpu`, `gpu:1`, … */
import { TandemError } from '../../errors.js';
import { type Card, inOrder } from './card.js';
import { type DriverPlaces, type NvidiaCard, readNvidiaDriver } from './nvidia.js';
import { readDrmCards } from './sysfs.js';

/** Read now: the free memory changes. */
export function readCards(places: DriverPlaces = {}): Card[] {
  const nvidia = readNvidiaDriver(places)?.cards ?? [];
  const others = readDrmCards(places.root);
  return inOrder([...nvidia, ...others, ...appleCards()]);
}

/** Every Mac with a processor of Apple's has a card, and no driver to ask. */
function appleCards(): Card[] {
  if (process.platform !== 'darwin' || process.arch !== 'arm64') return [];
  const facts = { bus: null, memory: null, hasDisplay: true, driver: 'Metal', cuda: null } as const;
  return [{ maker: 'Apple', name: 'Apple GPU', kind: 'integrated', ...facts }];
}

let known: readonly Card[] | undefined;

/** Read once in a process, for everything but the free memory: which cards there are does not change. */
export function knownCards(): readonly Card[] {
  known ??= readCards();
  return known;
}

/** The card of `gpu:INDEX`, if the machine's drivers report one. */
export function knownCard(index: number): Card | undefined {
  return knownCards()[index];
}

/** Each card with its driver, as in the machine's name: `NVIDIA GeForce RTX 2060 (nvidia 580.65.06)`. */
export function cardNames(): string[] {
  return knownCards().map(({ name, driver }) => `${name} (${driver})`);
}

/** As `Card`, of NVIDIA: its UUID is what NVML finds it by. */
export function isNvidia(card: Card | undefined): card is NvidiaCard {
  return card !== undefined && 'uuid' in card;
}

/** The index of the card whose name contains `words`, in any case. Throws TANDEM_DEVICE_MISSING for none and for several. */
export function cardNamed(words: string, cards: readonly Card[] = knownCards()): number {
  const wanted = words.toLowerCase();
  const found = cards.flatMap(({ name }, n) => (name.toLowerCase().includes(wanted) ? [n] : []));
  if (found.length === 1) return found[0]!;
  const list = cards.map(({ name }, n) => `gpu:${n} is ${name}`).join(', ');
  const which = found.length === 0 ? 'no card has this name' : `${found.length} cards have this name`;
  throw new TandemError('TANDEM_DEVICE_MISSING', `gpu:"${words}": ${which}`, {
    remedy: cards.length === 0 ? 'no card is found here: tandem doctor' : `choose by number: ${list}`,
  });
}

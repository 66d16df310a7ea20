/** A device by its name on the command line: `cpu`, `gpu`, `gpu:1`, `gpu:"RTX 4090"`. */
import { TandemError } from '../errors.js';
import { cardNamed } from '../machine/cards/cards.js';

export interface Device {
  readonly kind: 'cpu' | 'gpu';
  /** The number of the card. */
  readonly index: number;
}

/**
 * `gpu`, `gpu:1` and `cpu` are devices, and `gpu:` with a part of a card's name is the card that has it; anything else is a typing error.
 * Throws TANDEM_USAGE, and TANDEM_DEVICE_MISSING for a name that no card has, or several.
 */
export function parseDevice(device: string): Device {
  const match = /^(cpu|gpu)(?::(\d{1,3}))?$/.exec(device);
  if (match) return { kind: match[1] as 'cpu' | 'gpu', index: Number(match[2] ?? 0) };
  const name = nameIn(device);
  if (name !== null) return { kind: 'gpu', index: cardNamed(name) };
  throw new TandemError('TANDEM_USAGE', `"${device}" is not a device`, {
    remedy: 'use cpu, gpu, gpu:1 for the second card, or gpu:"RTX" for the card with this name',
  });
}

/** The same device by kind and number, so that each has one text. Errors as of `parseDevice`. */
export function deviceByNumber(device: string): string {
  const { kind, index } = parseDevice(device);
  return index === 0 ? kind : `${kind}:${index}`;
}

export function isCpu(device: string): boolean {
  // A card by its name need not be looked up for that.
  return nameIn(device) === null && parseDevice(device).kind === 'cpu';
}

/** `RTX 4090` of `gpu:"RTX 4090"`; quotes may be left out. `null` for devices by number. */
function nameIn(device: string): string | null {
  const [, name] = /^gpu:\s*["']?([^"']*[a-z][^"']*)["']?$/i.exec(device) ?? [];
  return name?.trim() || null;
}

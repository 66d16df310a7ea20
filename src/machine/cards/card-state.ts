/** What a card's driver reports of it at one moment of a run, in microseconds: its memory, and what slows its clock down. No program is started. */
import type { Capacity } from '../machine.js';
import type { Card, Link } from './card.js';
import { isNvidia } from './cards.js';
import { openedNvml } from './nvidia.js';
import { linkOf, memoryNow } from './sysfs.js';

export interface CardState {
  /** `null` if the driver does not report it. */
  readonly memory: Capacity | null;
  /** What holds its clock down, in words. The power limit is not among them: a card that works hard reaches it. */
  readonly throttled: readonly string[];
  /** Whether the power limit holds its clock down. */
  readonly atPowerLimit: boolean;
}

/** Bits of NVML's clocks throttle reasons (nvml.h). Idle, clocks that were set, and those of a screen slow nothing down unasked. */
const POWER_LIMIT = 0x4n;
const REASONS: readonly (readonly [bigint, string])[] = [
  [0x8n, 'its hardware protects itself'],
  [0x20n, 'it is hot'],
  [0x40n, 'it is too hot for its hardware'],
  [0x80n, 'its power supply asks for it'],
];

/** `null` if the driver cannot be asked in so short a time. `root` is the folder that contains /sys, for tests. */
export function stateOf(card: Card, root = '/'): CardState | null {
  if (!isNvidia(card)) {
    const memory = card.bus === null ? null : memoryNow(card.bus, root);
    return memory && { memory, throttled: [], atPowerLimit: false };
  }
  const state = openedNvml()?.state(card.uuid) ?? null;
  return (
    state && {
      memory: state.memory,
      throttled: REASONS.filter(([bit]) => (state.throttle & bit) !== 0n).map(([, words]) => words),
      atPowerLimit: (state.throttle & POWER_LIMIT) !== 0n,
    }
  );
}

/** How the card is connected, and its power limit; `null` if its driver does not report it. */
export function linkOfCard(card: Card, root = '/'): Link | null {
  if (isNvidia(card)) return openedNvml()?.link(card.uuid) ?? null;
  return card.bus === null ? null : linkOf(card.bus, root);
}

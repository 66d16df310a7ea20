/** A graphics card as its driver reports it. */
import type { Capacity } from '../machine.js';

export interface Card {
  readonly maker: 'NVIDIA' | 'AMD' | 'Intel' | 'Apple';
  readonly name: string;
  /** Its place on the PCI bus, in lower case: `0000:01:00.0`; `null` if the driver does not report it. */
  readonly bus: string | null;
  /** An integrated card has no memory of its own: it shares the machine's. */
  readonly kind: 'discrete' | 'integrated';
  /** Its own memory; `null` if the driver does not report it. */
  readonly memory: Capacity | null;
  /** Whether a screen is connected to it: then other programs take its memory at any time. */
  readonly hasDisplay: boolean;
  /** The driver, with its version where it has one: `nvidia 580.65.06`, `amdgpu`. */
  readonly driver: string;
  /** How CUDA reaches it; `null` for cards that CUDA does not reach. */
  readonly cuda: CudaCard | null;
}

export interface CudaCard {
  /** Its number for CUDA in this process: among those that CUDA_VISIBLE_DEVICES lets through. */
  readonly index: number;
  /** What CUDA_VISIBLE_DEVICES must be for CUDA to see this card alone. */
  readonly visibleAs: string;
  /** `8.6`; `null` if the driver does not report it. */
  readonly computeCapability: string | null;
}

/** How a card is connected, and what power it may take; `null` for what its driver does not report. */
export interface Link {
  /** PCI Express lanes in use now: fewer than `mostLanes` also while a card idles. */
  readonly lanes: number | null;
  readonly mostLanes: number | null;
  /** `PCIe 4`, or `16.0 GT/s` of each lane. */
  readonly speed: string | null;
  readonly powerLimitWatts: number | null;
}

/**
 * Cards with memory of their own first, each kind in the order of the PCI bus. `gpu` is the first of them, `gpu:1` the second. NVIDIA's are
 * in CUDA's order, in which `cards` has them: that differs where CUDA_VISIBLE_DEVICES gives another.
 */
export function inOrder(cards: readonly Card[]): Card[] {
  const rank = ({ kind }: Card) => (kind === 'integrated' ? 1 : 0);
  const place = ({ bus }: Card) => bus ?? '~';
  const before = (a: Card, b: Card) => rank(a) - rank(b) || (place(a) < place(b) ? -1 : place(a) > place(b) ? 1 : 0);
  const forCuda = cards.filter(({ cuda }) => cuda !== null);
  let next = 0;
  return cards.toSorted(before).map((card) => (card.cuda === null ? card : forCuda[next++]!));
}

/** Claims 1 and 2: the card is known by its facts, and doctor names the adapter of each provider. */

import type { Card } from '../../machine/cards/card.js';
import { linkOfCard } from '../../machine/cards/card-state.js';
import { type Finding, judged, notTried } from '../claim.js';
import type { Setting } from '../setting.js';
import { gibibytes } from '../words.js';

export function cardIsKnown({ card, providers }: Setting): Finding {
  if (card === null) return notTried(`there is no card: ${providers[0].name} computes on ${providers[0].deviceName}`);
  const link = linkOfCard(card);
  const lanes = link?.lanes == null ? null : `x${link.lanes}${link.mostLanes === null ? '' : ` of x${link.mostLanes}`}`;
  const power = link?.powerLimitWatts == null ? null : `power limit ${Math.round(link.powerLimitWatts)} W`;
  const connected = [link?.speed, lanes].filter(Boolean).join(' ');
  const facts = [card.name, card.kind, `driver ${card.driver}`, memoryOf(card), connected, power];
  // An integrated card has neither a link nor memory of its own.
  const isKnown = card.kind === 'integrated' || (lanes !== null && power !== null && card.memory !== null);
  const missing = isKnown ? null : 'its driver does not report all of link, power limit and memory';
  return judged(isKnown, [...facts, missing].filter(Boolean).join('; '));
}

function memoryOf({ memory }: Card): string | null {
  return memory && `${gibibytes(memory.free)} free of ${gibibytes(memory.total)}`;
}

/** A line of `tandem doctor --json`, as far as it is read. */
export interface DoctorLine {
  readonly name: string;
  readonly state: string;
  readonly found: string;
  readonly facts?: { readonly deviceName?: string; readonly device?: string };
}

/** `lines` are those of providers that compute on cards. */
export function adaptersAreNamed(lines: readonly DoctorLine[]): Finding {
  const named = lines.filter(({ facts }) => facts?.deviceName);
  const nameless = named.filter(({ facts }) => /that it chose|without a name/.test(facts!.deviceName!));
  const said = lines.map(({ name, found }) => `${name}: ${found}`).join('; ');
  return judged(named.length > 0 && nameless.length === 0, said);
}

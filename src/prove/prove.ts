/** The proof: ten claims about the cards of this machine, tried one after the other within a time. */
import { type Claim, type Finding, type Outcome, tryClaim } from './claim.js';
import { answersAreTheSame } from './claims/answers.js';
import { budgetIsKept, tooSmallIsRefused } from './claims/budget.js';
import { adaptersAreNamed, cardIsKnown, type DoctorLine } from './claims/card.js';
import { killedStageChangesNothing } from './claims/killed-stage.js';
import { splitPays } from './claims/split.js';
import { paceIsKept } from './claims/sustained.js';
import { takenMemoryBlamesNoRow } from './claims/taken-memory.js';
import { twoWorkersAreFaster } from './claims/workers.js';
import type { Setting } from './setting.js';

export interface Proven extends Finding {
  /** From 1. */
  readonly number: number;
  readonly claim: string;
  readonly seconds: number;
}

export interface ProveOptions {
  /** That all claims but the last may take. */
  readonly seconds: number;
  /** Called with the seconds that the claim which begins may take; `null`: as many as are left. */
  readonly limit: (seconds: number | null) => void;
  readonly onProven: (proven: Proven) => void;
}

/** In the order in which a person reads them; each may use what those before it have measured. */
export function claimsFor(setting: Setting, doctor: readonly DoctorLine[]): Claim[] {
  return [
    { claim: 'the card is known: driver, link, power limit', prove: () => cardIsKnown(setting) },
    { claim: 'doctor names the adapter of each provider', prove: () => adaptersAreNamed(doctor) },
    { claim: 'answers on the card are those of the CPU', prove: () => answersAreTheSame(setting) },
    { claim: 'a stage holds no more on the card than memory=', prove: () => budgetIsKept(setting) },
    { claim: 'half on the card and half on the CPU pays, and as planned', prove: () => splitPays(setting) },
    { claim: 'two workers on the card are as fast as one, or faster', prove: () => twoWorkersAreFaster(setting) },
    { claim: 'memory= that is too small is refused with one that suffices', prove: () => tooSmallIsRefused(setting) },
    { claim: 'memory that others take in mid-run costs no row', prove: () => takenMemoryBlamesNoRow(setting) },
    { claim: 'a card stage that is killed changes no byte', prove: () => killedStageChangesNothing(setting) },
    { claim: 'the card keeps its pace', prove: () => paceIsKept(setting) },
  ];
}

/** How often its part of the time that is left a claim may take, so that one that hangs does not cost the others theirs. */
const PARTS = 2.5;

/** `limit` gets the seconds that the claim which begins may take. The last one has all that is left. */
export async function prove(claims: readonly Claim[], { seconds, limit, onProven }: ProveOptions): Promise<Proven[]> {
  const all: Proven[] = [];
  const startedAt = performance.now();
  for (const [n, claim] of claims.entries()) {
    const left = seconds - (performance.now() - startedAt) / 1000;
    const isLast = n === claims.length - 1;
    limit(isLast ? null : Math.max(0, Math.min(left, (PARTS * left) / (claims.length - 1 - n))));
    const start = performance.now();
    const finding = await tryClaim(claim);
    const proven = { number: n + 1, claim: claim.claim, ...finding, seconds: (performance.now() - start) / 1000 };
    all.push(proven);
    onProven(proven);
  }
  return all;
}

export function counted(all: readonly { readonly outcome: Outcome }[]): Record<Outcome, number> {
  const of = (outcome: Outcome) => all.filter((each) => each.outcome === outcome).length;
  return { held: of('held'), 'did not hold': of('did not hold'), 'not tried': of('not tried') };
}

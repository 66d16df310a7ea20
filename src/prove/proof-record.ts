/** The proof as a record for the report page: its claims, and the figures that are bars. */
import { machineFacts } from '../machine/facts.js';
import { VERSION } from '../package.js';
import type { RunRecord } from '../report/record.js';
import { counted, type Proven } from './prove.js';
import type { Setting } from './setting.js';
import { SIZES } from './subjects.js';

export function proofRecord(
  { providers, card, measured, subjects }: Setting,
  claims: readonly Proven[],
  command: readonly string[],
): RunRecord {
  const { held, 'did not hold': not, 'not tried': untried } = counted(claims);
  const { bert, tokens, side } = SIZES[subjects.size];
  const adapters = providers.map(({ name, deviceName }) => `${name} on ${deviceName}`).join('; ');
  return {
    kind: 'tandem-record',
    schema: 1,
    title: 'Proof of this machine’s cards',
    createdAt: new Date().toISOString(),
    version: VERSION,
    command: ['tandem', ...command],
    machine: machineFacts(card ? [`${card.name} (${card.driver})`] : providers.map(({ deviceName }) => deviceName)),
    verdict: [
      `${held} of ${claims.length} claims held, ${not} did not hold, ${untried} were not tried.`,
      `Providers: ${adapters}.`,
      `BERT with ${bert.layers} layers of ${bert.hidden} and ${tokens} tokens, ResNet with images of ${side} x ${side}.`,
    ],
    claims: claims.map(({ number, claim, outcome, figures, seconds }) => ({
      number,
      claim,
      outcome,
      figures,
      seconds,
    })),
    run: null,
    comparisons: measured.comparisons,
  };
}

/** Checks what each stage holds once it is loaded and warmed up against its budget: in its process, and on its card. */
import { isCpu } from '../engine/device.js';
import { TandemError } from '../errors.js';
import { mebibytes } from '../plan/budget.js';
import type { Plan } from '../plan/plan.js';
import type { HeldOnCard } from './card-memory.js';

/** How a message names a stage, and what makes it smaller. */
interface Naming {
  readonly of: string;
  readonly smaller: string;
}

const PIPELINE: Naming = { of: '', smaller: 'fewer layers, or a smaller --micro-batch' };

/** The stages of a decoder. */
export const DECODER: Naming = { of: ' of the decoder', smaller: 'fewer --slots, or a smaller --max-length' };

/** Throws TANDEM_PLAN_IMPOSSIBLE. `peaks` are bytes, `null` for a stage without a process of its own, or where the system does not show it. */
export function checkBudgets(
  stages: readonly { readonly device?: string; readonly memory?: number }[],
  peaks: readonly (number | null)[],
  { of, smaller }: Naming = PIPELINE,
): void {
  for (const [j, { memory, device = 'cpu' }] of stages.entries()) {
    const peak = peaks[j];
    // The memory of a card is not part of the process: `checkCardBudgets` is about that.
    if (!isCpu(device)) continue;
    if (memory === undefined || peak == null || peak <= memory) continue;
    throw new TandemError(
      'TANDEM_PLAN_IMPOSSIBLE',
      `stage ${j}${of} holds ${mebibytes(peak)} once it is warm and may hold ${mebibytes(memory)}`,
      { remedy: `give it memory=${mebibytes(peak)}, ${smaller}` },
    );
  }
}

/** The same for cards. Stages that cannot be measured separately are checked against the sum of their budgets, if all of them have one. Throws TANDEM_PLAN_IMPOSSIBLE. */
export function checkCardBudgets({ stages }: Plan, held: readonly HeldOnCard[]): void {
  for (const { stages: own, bytes } of held) {
    const budgets = own.flatMap((j) => stages[j]!.memory ?? []);
    const may = budgets.reduce((sum, memory) => sum + memory, 0);
    if (budgets.length < own.length || bytes <= may) continue;
    const [first] = own;
    const who = own.length === 1 ? `stage ${first} holds` : `stages ${own.join(' and ')} together hold`;
    throw new TandemError(
      'TANDEM_PLAN_IMPOSSIBLE',
      `${who} ${mebibytes(bytes)} on ${stages[first!]!.device} once warm, by its driver, and may hold ${mebibytes(may)}`,
      {
        remedy: `give ${own.length === 1 ? 'it' : 'them together'} memory=${mebibytes(bytes)}, fewer layers, or a smaller --micro-batch`,
      },
    );
  }
}

/** Budgets on cards: what is measured there, and which stages are held to it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Card } from '../../src/machine/cards/card.js';
import { CardMemory } from '../../src/pipeline/card-memory.js';
import { checkCardBudgets } from '../../src/pipeline/check-budgets.js';
import { checkTogether, sharedOnCards } from '../../src/plan/budget.js';
import type { Plan } from '../../src/plan/plan.js';

const MIB = 2 ** 20;

/** A card that reports no processes: of a maker without NVML, and not on Linux's bus. */
function card(used: number): Card {
  const memory = { total: 6144 * MIB, free: (6144 - used) * MIB };
  const facts = { hasDisplay: false, driver: 'amdgpu', cuda: null, kind: 'discrete', bus: null } as const;
  return { maker: 'AMD', name: 'a card', memory, ...facts };
}

function planOf(...stages: readonly { device: string; memory?: number }[]): Plan {
  return { stages } as unknown as Plan;
}

test('what a card holds more than before loading is that of its stages, together if they cannot be measured separately', () => {
  let used = [100, 300];
  const plan = planOf({ device: 'gpu' }, { device: 'cpu' }, { device: 'gpu:1' }, { device: 'gpu' });
  const memory = new CardMemory(plan, () => used.map(card));
  assert.deepEqual(memory.held([null, null, null, null]), []);
  used = [616, 300];
  assert.deepEqual(memory.held([null, null, null, null]), [{ stages: [0, 3], bytes: 516 * MIB }]);
});

test('a stage above its budget on a card is refused with what would do; two on one card by the sum of theirs', () => {
  const held = [{ stages: [0], bytes: 516 * MIB }];
  assert.throws(() => checkCardBudgets(planOf({ device: 'gpu', memory: 200 * MIB }), held), {
    code: 'TANDEM_PLAN_IMPOSSIBLE',
    message: 'stage 0 holds 516MiB on gpu once warm, by its driver, and may hold 200MiB',
    remedy: /give it memory=516MiB/,
  });
  checkCardBudgets(planOf({ device: 'gpu', memory: 516 * MIB }), held);
  checkCardBudgets(planOf({ device: 'gpu' }), held);
  const both = [{ stages: [0, 1], bytes: 516 * MIB }];
  const two = (memory: number) => planOf({ device: 'gpu', memory }, { device: 'gpu', memory: 200 * MIB });
  checkCardBudgets(two(316 * MIB), both);
  assert.throws(() => checkCardBudgets(two(315 * MIB), both), /stages 0 and 1 together hold 516MiB/);
});

test('stages on one card share it: those without a budget get equal parts of what the others leave', () => {
  const free = (device: string) => (device === 'cpu' ? 16_000 * MIB : 6000 * MIB);
  const shared = sharedOnCards(free, [
    { device: 'gpu', memory: 2000 * MIB },
    { device: 'cpu' },
    { device: 'gpu' },
    { device: 'gpu:0' },
    { device: 'gpu:1' },
  ]);
  assert.equal(shared('gpu'), 2000 * MIB);
  assert.equal(shared('gpu:1'), 6000 * MIB);
  assert.equal(shared('cpu'), 16_000 * MIB);
});

test('budgets of stages on one card that are more than the card has are refused', () => {
  const cards = () => [card(0)];
  const stages = (memory: number) => [
    { device: 'gpu', memory: memory * MIB },
    { device: 'cpu', memory: 99_000 * MIB },
    { device: 'gpu', memory: 4000 * MIB },
  ];
  checkTogether(stages(2144), cards);
  assert.throws(() => checkTogether(stages(2145), cards), {
    code: 'TANDEM_PLAN_IMPOSSIBLE',
    message: '2 stages on gpu may hold 6145MiB together; the card has 6144MiB',
  });
});

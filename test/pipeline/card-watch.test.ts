/** What is seen of a card while a run lasts, as its driver reports it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Card } from '../../src/machine/cards/card.js';
import type { CardState } from '../../src/machine/cards/card-state.js';
import { CardWatch } from '../../src/pipeline/card-watch.js';

const GIB = 2 ** 30;
const CARD: Card = {
  maker: 'NVIDIA',
  name: 'RTX 2060',
  bus: '0000:01:00.0',
  kind: 'discrete',
  memory: { total: 6 * GIB, free: 5 * GIB },
  hasDisplay: false,
  driver: 'nvidia 580',
  cuda: null,
};
const stage = (device: string) => ({ device }) as never;

/** A watch over a card whose driver reports `now`. */
function watching(held: (pid: number) => number | null, stages = [stage('gpu'), stage('cpu'), stage('gpu')]) {
  const now: { state: CardState | null } = { state: null };
  const free = (bytes: number, more: Partial<CardState> = {}) => {
    now.state = { memory: { total: 6 * GIB, free: bytes }, throttled: [], atPowerLimit: false, ...more };
  };
  free(4 * GIB);
  const watch = () =>
    new CardWatch({
      plan: { stages },
      pids: () => [11, 12, 13],
      cards: [CARD],
      state: () => now.state,
      held: (_, pid) => held(pid),
    });
  return { now, free, watch };
}

test('what others take is told from what the stages hold, each process counted once', () => {
  let own = 0.5 * GIB;
  const { free, watch } = watching(() => own);
  using cards = watch();
  // 2 GiB are in use, 1 of them by the two stages on the card.
  own = GIB;
  free(3 * GIB);
  cards.look();
  assert.equal(cards.watched[0]!.takenByOthersBytes, 0, 'the stages have grown, nobody else');
  free(0.5 * GIB);
  cards.look();
  free(3 * GIB);
  const [seen] = cards.watched;
  assert.deepEqual(
    [seen!.device, seen!.stages, seen!.totalBytes, seen!.heldBytes, seen!.leastFreeBytes, seen!.takenByOthersBytes],
    ['gpu', [0, 2], 6 * GIB, 2 * GIB, 0.5 * GIB, 2.5 * GIB],
  );
});

test('where the driver does not count by process, all that the use has grown by is taken by others', () => {
  const { free, watch } = watching(() => null);
  using cards = watch();
  free(1 * GIB);
  const [seen] = cards.watched;
  assert.deepEqual([seen!.heldBytes, seen!.takenByOthersBytes], [null, 3 * GIB]);
});

test('what holds the clock down has its share of the looks', () => {
  const { free, watch } = watching(() => 0);
  using cards = watch();
  free(4 * GIB, { throttled: ['it is hot'], atPowerLimit: true });
  for (let n = 0; n < 2; n++) cards.look();
  const [seen] = cards.watched;
  assert.deepEqual(seen!.throttled, [{ reason: 'it is hot', share: 0.75 }]);
  assert.equal(seen!.atPowerLimit, 0.75);
});

test('stages on the CPU, and a card whose driver reports nothing, are left out', () => {
  const { now, watch } = watching(() => 0);
  now.state = null;
  using cards = watch();
  assert.deepEqual(cards.watched, []);
  const onCpu = watching(() => 0, [stage('cpu')]).watch();
  assert.deepEqual(onCpu.watched, []);
});

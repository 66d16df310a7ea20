/** The search on synthetic machines of 1 to 128 cores: its cost is counted, not timed, and its result is as good as an exhaustive search. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { candidateOf, candidateSteps } from '../../src/planner/search/candidate.js';
import { partition } from '../../src/planner/search/partition.js';
import type { PartitionOption, PartitionProblem } from '../../src/planner/search/partition-problem.js';
import { allocationsOf, namedTopologies, openTopologies, replicasOf } from '../../src/planner/search/topology.js';
import { runningSums } from '../../src/sums.js';
import { chainGraph } from '../fixtures/chain.js';
import { type Synthetic, syntheticSearch } from '../fixtures/synthetic-machine.js';

const CORES = [1, 2, 4, 8, 16, 32, 64, 128];
const GIBI = 2 ** 30;

/** Options evaluated in all, and between two yields of the search. Each evaluation takes well below a microsecond. */
const MOST = { all: 20e6, betweenYields: 2e6 };

function costOf(machine: Synthetic): { all: number; longest: number; rowsPerSecond: number } {
  const { search, topologies } = syntheticSearch(machine);
  const tally = { evaluated: 0 };
  let longest = 0;
  const rates = topologies.map((topology) => {
    const steps = candidateSteps({ ...search, tally }, topology);
    for (;;) {
      const before = tally.evaluated;
      const { done, value } = steps.next();
      longest = Math.max(longest, tally.evaluated - before);
      if (done) return value.plan?.expected?.rowsPerSecond ?? 0;
    }
  });
  return { all: tally.evaluated, longest, rowsPerSecond: Math.max(...rates) };
}

function assertCheap(machine: Synthetic): number {
  const { all, longest, rowsPerSecond } = costOf(machine);
  const { cores, layers } = machine;
  assert.ok(all <= MOST.all, `${cores} cores, ${layers} layers: ${all} evaluated`);
  assert.ok(longest <= MOST.betweenYields, `${cores} cores, ${layers} layers: ${longest} evaluated without a yield`);
  return rowsPerSecond;
}

test('1 to 128 cores and 40 to 400 layers: the search evaluates a bounded number of options, and more cores are never worse', () => {
  for (const layers of [40, 159, 400]) {
    const rates = CORES.map((cores) => assertCheap({ cores, layers }));
    assert.ok(
      rates.every((rate, n) => n === 0 || rate > rates[n - 1]!),
      rates.join(' '),
    );
  }
});

test('cards, replicas, many stages, and memory that limits the pace cost no more', () => {
  const cpu = { device: 'cpu' };
  const many = { cores: 128, layers: 400 };
  assert.ok(assertCheap({ ...many, cards: ['gpu', 'gpu:1'] }) > 0);
  assert.ok(assertCheap({ ...many, stages: [{ device: 'gpu' }, { ...cpu, beside: true }, cpu] }) > 0);
  assert.ok(assertCheap({ ...many, stages: new Array(8).fill(cpu) }) > 0);
  assert.ok(assertCheap({ ...many, stages: new Array(3).fill({ ...cpu, memory: 8 * GIBI }) }) > 0);
  const rates = [200, 60, 15].map((free) => assertCheap({ ...many, free: free * GIBI }));
  assert.ok(rates[0]! > rates[1]! && rates[1]! > rates[2]! && rates[2]! > 0, rates.join(' '));
  assert.equal(assertCheap({ ...many, free: GIBI }), 0);
});

test('a topology that does not fit reports its memory requirement, and that much suffices', () => {
  const machine = { cores: 64, layers: 200, stages: [{ device: 'cpu' }, { device: 'cpu' }] };
  const candidate = (free: number) => {
    const { search, topologies } = syntheticSearch({ ...machine, free });
    return candidateOf(search, topologies[0]!);
  };
  const { plan, requirement } = candidate(GIBI);
  assert.equal(plan, null);
  assert.ok(candidate(requirement.bytes).plan);
  assert.equal(candidate(requirement.bytes - 1).plan, null);
});

test('few numbers of threads are measured, however many cores there are; the others are interpolated', () => {
  for (const cores of [...CORES, 3, 6, 12, 24, 48, 96, 256]) {
    const topologies = openTopologies(chainGraph(20), ['gpu'], cores);
    const measured = allocationsOf(topologies).filter(({ device }) => device === 'cpu');
    assert.ok(measured.length <= 7, `${cores} cores: ${measured.map(({ threads }) => threads).join(' ')}`);
    for (const { allocation, between } of topologies.flatMap(({ stages }) => stages.flat().flatMap(replicasOf))) {
      const [fewer, more] = between ?? [allocation, allocation];
      assert.ok(fewer.threads <= allocation.threads && allocation.threads <= more.threads);
    }
  }
  const { search, topologies } = syntheticSearch({ cores: 128, layers: 20 });
  const rate = (threads: number) => {
    const topology = topologies.find(({ stages }) => stages.length === 1 && stages[0]![0]!.threads === threads)!;
    return candidateOf(search, topology).plan!.expected!.rowsPerSecond;
  };
  // The synthetic machine's speed is a power of the threads: a straight line in logarithms.
  assert.ok(Math.abs(rate(8) / Math.sqrt(rate(4) * rate(16)) - 1) < 0.05);
});

test('replicas with the same options all get the same one', () => {
  const [topology] = namedTopologies(
    chainGraph(20),
    new Array(3).fill({ device: 'cpu' }).map((stage, n) => ({ ...stage, beside: n > 0 })),
    64,
  );
  for (const option of topology!.stages[0]!) {
    const replicas = replicasOf(option).map(({ threads, workers }) => `${workers} x ${threads}`);
    assert.equal(new Set(replicas).size, 1, replicas.join());
  }
});

const layer = fc.record({ cost: fc.integer({ min: 1, max: 100 }), bytes: fc.integer({ min: 0, max: 100 }) });
const large = fc.record({
  layers: fc.array(layer, { minLength: 110, maxLength: 160 }),
  stages: fc.integer({ min: 2, max: 4 }),
  cores: fc.integer({ min: 4, max: 64 }),
  /** Speed of an option with four cores, compared with one core. */
  gain: fc.double({ min: 1.5, max: 3.9, noNaN: true }),
  memory: fc.double({ min: 1.5, max: 12, noNaN: true }),
});

/** A plan's pace must be at least this share of the best. */
const CHOSEN = 0.97;

/** Seeds of problems in which one weighted sum of cores and memory, or the first cut points tried, once led to a slower result; and a random seed. */
const SEEDS = [-1756504130, 1497861307, 330391086, undefined];

/** Only some of many cut points are tried at first. The result must be as good as with all of them. */
test('with many cut points and tight memory the result is no slower than 1 / 0.97 of the fastest of all', () => {
  const property = fc.property(large, (machine) => {
    const problem = problemOf(machine);
    const found = partition(problem)!;
    assert.ok(leastBytes(problem, found.slowest * CHOSEN) > problem.memory, `${found.slowest} is not the fastest`);
  });
  for (const seed of SEEDS) fc.assert(property, { numRuns: 20, ...(seed === undefined ? {} : { seed }) });
});

type Large = typeof large extends fc.Arbitrary<infer T> ? T : never;

function problemOf({ layers, stages, cores, gain, memory }: Large): PartitionProblem {
  const costs = runningSums(layers.map(({ cost }) => cost));
  const bytes = runningSums(layers.map((each) => each.bytes));
  const option = (own: number, speed: number): PartitionOption => ({
    cores: own,
    most: Math.max(1, Math.floor((cores - stages + 1) / own)),
    seconds: (from, to) => (costs[to]! - costs[from]!) / speed,
    work: (from, to) => (costs[to]! - costs[from]!) / speed,
    fits: () => true,
    sharedBytes: (from, to, units) => units * (bytes[to]! - bytes[from]! + 1),
  });
  const options = [option(1, 1), option(4, gain)];
  return {
    layers: layers.length,
    stages: new Array(stages).fill(options),
    cores,
    legal: () => true,
    memory: memory * (bytes.at(-1)! + stages),
  };
}

/** The fewest bytes within a limit of seconds, by plain dynamic programming over the number of cores. Slow, but easy to check. */
function leastBytes({ layers, stages, cores }: PartitionProblem, limit: number): number {
  const width = cores + 1;
  let after: Float64Array | null = null;
  for (let j = stages.length - 1; j >= 0; j--) {
    const best = new Float64Array((layers + 1) * width).fill(Number.POSITIVE_INFINITY);
    for (let k = 0; k < (j === 0 ? 1 : layers); k++) {
      for (let next = after ? k + 1 : layers; next <= layers - (after ? 1 : 0); next++) {
        for (const option of stages[j]!) {
          const units = Math.max(1, Math.ceil(option.seconds(k, next) / limit));
          if (units > option.most) continue;
          const own = option.sharedBytes(k, next, units);
          for (let left = option.cores * units; left <= cores; left++) {
            const all = own + (after ? after[next * width + left - option.cores * units]! : 0);
            if (all < best[k * width + left]!) best[k * width + left] = all;
          }
        }
      }
    }
    after = best;
  }
  return after![cores]!;
}

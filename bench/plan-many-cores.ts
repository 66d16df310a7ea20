/**
 * Bench: how long the planner's search blocks the event loop, on synthetic machines of 1 to 128 cores. Nothing is measured, only searched. For
 * each number of layers and cores it prints milliseconds of processor time of the whole search, of its longest topology and of its longest
 * step between two yields, and how many allocations would have to be measured.
 */

import type { Plan } from '../src/plan/plan.js';
import { candidateSteps } from '../src/planner/search/candidate.js';
import { allocationsOf } from '../src/planner/search/topology.js';
import { syntheticSearch } from '../test/fixtures/synthetic-machine.js';

const CORES = process.argv[2]?.split(',').map(Number) ?? [1, 2, 4, 8, 16, 32, 64, 128];
const LAYERS = process.argv[3]?.split(',').map(Number) ?? [40, 159, 400];
/** Bytes of free memory; unlimited if left out. */
const FREE = process.argv[4] ? Number(process.argv[4]) * 2 ** 30 : undefined;

/** Processor time of this process, so that other work on the machine does not count. */
function millis(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
}

function row(layers: number, cores: number): string {
  const { search, topologies } = syntheticSearch({ cores, layers, free: FREE });
  const begun = millis();
  const longest = { topology: 0, step: 0 };
  let best: Plan['expected'];
  for (const topology of topologies) {
    const start = millis();
    const steps = candidateSteps(search, topology);
    for (let done = false; !done; ) {
      const before = millis();
      const step = steps.next();
      longest.step = Math.max(longest.step, millis() - before);
      done = step.done === true;
      const expected = step.value?.plan?.expected;
      if (expected && expected.rowsPerSecond > (best?.rowsPerSecond ?? 0)) best = expected;
    }
    longest.topology = Math.max(longest.topology, millis() - start);
  }
  const numbers = [millis() - begun, longest.topology, longest.step].map((each) => each.toFixed(0).padStart(8));
  const found = best ? `${best.name}, ${best.rowsPerSecond.toFixed(1)} rows/s` : 'nothing fits';
  return `${String(layers).padStart(6)} ${String(cores).padStart(6)} ${numbers.join(' ')} ${String(allocationsOf(topologies).length).padStart(8)}  ${found}`;
}

row(40, 4);
process.stdout.write('layers  cores    whole     topology     step measured  best\n');
for (const layers of LAYERS) for (const cores of CORES) process.stdout.write(`${row(layers, cores)}\n`);

/** Cut points: where a model can be cut, compared with the number of stages asked for. */
import { type Replica, replicaGroupsOf } from '../../arena/replicas.js';
import { TandemError } from '../../errors.js';
import { isLegalCut } from '../../model/cut.js';
import type { ModelGraph } from '../../model/graph.js';

/** Checks before anything is measured that there are enough cut points. Errors as of `tooFewCutPoints`. */
export function checkCutPoints(graph: ModelGraph, stages: readonly Replica[]): void {
  if (replicaGroupsOf(stages).length > cutPointsOf(graph) + 1) throw tooFewCutPoints(graph, stages);
}

/** TANDEM_LAYERS_INVALID. Replicas of a stage count as one. */
export function tooFewCutPoints(graph: ModelGraph, stages: readonly Replica[]): TandemError {
  const cutPoints = cutPointsOf(graph);
  const wanted = replicaGroupsOf(stages).length;
  const present = `the model has ${counted(graph.layers.length, 'layer')} and ${counted(cutPoints, 'cut point')}`;
  const enough = wanted <= cutPoints + 1;
  const unusable = 'some have live tensors of unknown size, which leaves too few';
  const most = enough ? 'use fewer --stage' : `use at most ${cutPoints + 1} --stage`;
  return new TandemError(
    'TANDEM_LAYERS_INVALID',
    `${present}${enough ? `; ${unusable}` : ', too few'} for ${counted(wanted, 'stage')}`,
    { remedy: `${most}; tandem inspect MODEL shows where it can be cut` },
  );
}

function cutPointsOf(graph: ModelGraph): number {
  return graph.layers.filter(({ from }) => isLegalCut(graph, from)).length;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

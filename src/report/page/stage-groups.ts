/** Replicas of a stage: stages that compute the same layers, each for its share of the micro-batches. */
import type { RunPart } from '../record.js';

export type Stage = RunPart['summary']['stages'][number];

/** The stages in order, grouped by replicas; most groups have one stage. */
export function groupsOf(stages: readonly Stage[]): Stage[][] {
  const groups: Stage[][] = [];
  for (const stage of stages) {
    if (stage.beside && groups.length > 0) groups.at(-1)!.push(stage);
    else groups.push([stage]);
  }
  return groups;
}

/** The other replicas of a stage, and its share of each round of micro-batches. */
export function replicasOf(
  stages: readonly Stage[],
  { stage }: Stage,
): { others: Stage[]; share: number; round: number } {
  const group = groupsOf(stages).find((own) => own.some((each) => each.stage === stage))!;
  const shareOf = ({ turns = 1 }: Stage) => turns;
  return {
    others: group.filter((each) => each.stage !== stage),
    share: shareOf(stages[stage]!),
    round: group.reduce((sum, each) => sum + shareOf(each), 0),
  };
}

/** Stages that stand beside each other: they compute the same layers and take micro-batches in turn. */
import type { RunPart } from '../record.js';

export type Stage = RunPart['summary']['stages'][number];

/** The stages in order, those beside each other together; most often each is alone. */
export function groupsOf(stages: readonly Stage[]): Stage[][] {
  const groups: Stage[][] = [];
  for (const stage of stages) {
    if (stage.beside && groups.length > 0) groups.at(-1)!.push(stage);
    else groups.push([stage]);
  }
  return groups;
}

/** The others of its group, and how many of each round of micro-batches are its own. */
export function companyOf(
  stages: readonly Stage[],
  { stage }: Stage,
): { others: Stage[]; turns: number; round: number } {
  const group = groupsOf(stages).find((own) => own.some((each) => each.stage === stage))!;
  const turnsOf = ({ turns = 1 }: Stage) => turns;
  return {
    others: group.filter((each) => each.stage !== stage),
    turns: turnsOf(stages[stage]!),
    round: group.reduce((sum, each) => sum + turnsOf(each), 0),
  };
}

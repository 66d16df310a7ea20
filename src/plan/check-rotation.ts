/** What a stage that may rotate must say, and must not. */
import { TandemError } from '../errors.js';
import { type StageOptions, stageText } from './stage-options.js';

/** Throws TANDEM_USAGE. */
export function checkRotation(stages: readonly StageOptions[]): void {
  for (const [j, stage] of stages.entries()) {
    const { rotate = 'never', memory, layers, workers = 1, beside } = stage;
    if (rotate === 'never') continue;
    const refuse = (what: string, remedy: string) => {
      throw new TandemError('TANDEM_USAGE', `stage ${j} has rotate=${rotate} ${what}`, { remedy });
    };
    const { layers: _, workers: __, ...others } = stage;
    const without = `--stage ${stageText({ ...others, beside: undefined })}`;
    if (memory === undefined)
      refuse('and no memory=, which decides how much of it is loaded at once', `${without},memory=2GiB`);
    if (layers) refuse('and layers=; which of its layers rotate follows from measurements', without);
    if (workers > 1) refuse(`and ${workers} workers; each would load all that rotates`, without);
    if (beside || stages[j + 1]?.beside) refuse('and is one of several replicas', `let it stand alone: ${without}`);
  }
}

export function mayRotate(stages: readonly StageOptions[] = []): boolean {
  return stages.some(({ rotate = 'never' }) => rotate !== 'never');
}

export function rotationUnmeasured(): TandemError {
  return new TandemError(
    'TANDEM_USAGE',
    'which layers rotate follows from measurements, and here nothing is measured',
    {
      remedy: 'make a plan with tandem plan MODEL -i ROWS --output plan.json, and give it with --plan plan.json',
    },
  );
}

export function cannotRotate(engine: string, why: string): TandemError {
  return new TandemError('TANDEM_USAGE', `rotate= is not possible with ${engine}: ${why}`, {
    remedy: 'leave rotate= out, or use another provider=',
  });
}

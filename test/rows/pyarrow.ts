/** A Python with pyarrow, where there is one: `TEST_PYTHON` names it, else python3. */
import { spawnSync } from 'node:child_process';

export const PYTHON = process.env.TEST_PYTHON ?? 'python3';

/** Why tests that compare with pyarrow are skipped; `false` if they run. */
export const noPyarrow: string | false =
  spawnSync(PYTHON, ['-c', 'import pyarrow']).status === 0
    ? false
    : 'there is no python3 with pyarrow (TEST_PYTHON names one)';

/**
 * Checks the example files of docs/cluster by schema: Kubernetes by kubernetes-validate (PyPI), compose by dclint (npm), the Slurm script by bash. A tool that is
 * missing is named, and the exit status is 1.
 *
 *   pip install kubernetes-validate && node dist/scripts/check-cluster-examples.js
 */
import { spawnSync } from 'node:child_process';

const CHECKS: readonly (readonly [command: string, ...args: string[]])[] = [
  ['kubernetes-validate', '--strict', 'docs/cluster/worker-deployment.yaml', 'docs/cluster/indexed-job.yaml'],
  ['npx', '--yes', 'dclint@3.1.0', 'docs/cluster/compose.yaml'],
  ['bash', '-n', 'docs/cluster/slurm.sh'],
];

for (const [command, ...args] of CHECKS) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  const isRight = status === 0;
  console.log(`${isRight ? 'right' : 'WRONG'}: ${[command, ...args].join(' ')}${error ? ` (${error.message})` : ''}`);
  if (!isRight) process.exitCode = 1;
}

/** Claim 9: a run whose card stage is killed ends with the same bytes. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { type Finding, judged, notTried } from '../claim.js';
import { failure } from '../command.js';
import type { Setting } from '../setting.js';
import { runWith } from './mid-run.js';

export async function killedStageChangesNothing(setting: Setting): Promise<Finding> {
  if (process.platform === 'win32') return notTried('stages are threads on Windows: none can be killed alone');
  const { command } = setting;
  const undisturbed = await runWith(setting, 'undisturbed.npy');
  if (undisturbed.status !== 0) throw failure(undisturbed);
  let killed: readonly number[] = [];
  const during = ({ pid }: { readonly pid?: number | undefined }) => {
    killed = stagesOf(pid!);
    for (const stage of killed) process.kill(stage, 'SIGKILL');
  };
  const ended = await runWith(setting, 'killed.npy', { during });
  if (killed.length === 0) return notTried('the process of the stage was not found');
  if (ended.status !== 0) throw failure(ended);
  const isSame = command.read('undisturbed.npy').equals(command.read('killed.npy'));
  const said = `process ${killed.join(', ')} of the stage on the card was killed`;
  return judged(isSame, `${said}; the bytes are ${isSame ? 'the same' : 'others'}`);
}

/** The processes of stages that `parent` has started. */
function stagesOf(parent: number): number[] {
  return processes().flatMap(({ pid, ppid, command }) =>
    ppid === parent && command.includes('stage-host') ? [pid] : [],
  );
}

interface Process {
  readonly pid: number;
  readonly ppid: number;
  readonly command: string;
}

function processes(): Process[] {
  if (process.platform === 'linux') return readdirSync('/proc').flatMap((name) => ofProc(name) ?? []);
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,command='], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => {
    const [, pid, ppid, command] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return command === undefined ? [] : [{ pid: Number(pid), ppid: Number(ppid), command }];
  });
}

function ofProc(name: string): Process | null {
  if (!/^\d+$/.test(name)) return null;
  try {
    // The name in parentheses may contain any characters; state and parent follow it.
    const [, ppid] = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
    const command = readFileSync(`/proc/${name}/cmdline`, 'utf8');
    return { pid: Number(name), ppid: Number(ppid), command };
  } catch {
    // It has just ended.
    return null;
  }
}

/** The providers of each engine on this machine: each is tried in a process of its own, and has one line in `tandem doctor`. */
import type { CheckedMachine, ProviderCheck, ProviderEntry } from '../engine/entry.js';
import { ENGINES } from '../engine/list.js';
import type { NvidiaDriver } from '../machine/cards/nvidia.js';
import { type Probe, probeEngine } from '../setup/probe.js';
import type { Check } from './diagnosis.js';

/** Sequentially, so that only one is in memory at a time. */
export async function checkProviders(driver: NvidiaDriver | null): Promise<Check[]> {
  const machine: CheckedMachine = { platform: process.platform, hasNvidiaDriver: driver !== null };
  const checks: Check[] = [];
  for (const { id, providers } of ENGINES) {
    for (const { name, devices, check } of providers) {
      const lost = check?.loss(machine);
      if (check && lost) checks.push(await checkOne({ engine: id, name, devices, check, lost, machine }));
    }
  }
  return checks;
}

interface Checked extends Pick<ProviderEntry, 'name' | 'devices'> {
  readonly engine: string;
  readonly check: ProviderCheck;
  readonly lost: 'missing' | 'note';
  readonly machine: CheckedMachine;
}

async function checkOne({ engine, name: provider, devices, check, lost, machine }: Checked): Promise<Check> {
  const name = check.label;
  const folder = check.packageFolder?.();
  if (folder === null) {
    const { found = 'not installed', remedy } = check.mend('not-installed', machine);
    return { name, state: lost, found, ...(remedy && { remedy }) };
  }
  const probe = await probeEngine(engine, provider, folder);
  if (!probe.works) {
    const { found = probe.reason, remedy } = check.mend(probe, machine);
    return { name, state: lost, found, ...(remedy && { remedy }) };
  }
  const { facts, found } = reported(probe);
  if (!devices.includes('cpu') && probe.device === 'CPU') {
    const { remedy } = check.mend('on-cpu', machine);
    const onCpu = `${found}, not on a card: runs with --allow-fallback only`;
    return { name, state: lost, found: onCpu, ...(remedy && { remedy }), facts };
  }
  return { name, state: 'ok', found, facts };
}

function reported({ version, device, deviceName }: Extract<Probe, { works: true }>) {
  return { found: `${version}, computes on ${deviceName}`, facts: { version, device, deviceName } };
}

/** What a process holds on a card, as the driver counts it: NVIDIA's by NVML, AMD's and Intel's by Linux's files of the process. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Card } from './card.js';
import { isNvidia } from './cards.js';
import { bytesOfProcesses } from './nvidia.js';

/** Bytes that the process holds on the card; `null` if the driver does not report it. `root` is the folder that contains /proc, for tests. */
export function bytesOnCard(card: Card, pid: number, root = '/'): number | null {
  // In a container NVML may count by the numbers that processes have outside: then this one is not among them.
  if (isNvidia(card)) return bytesOfProcesses(card).get(pid) ?? null;
  return card.bus === null ? null : fromFileInfo(join(root, 'proc', String(pid), 'fdinfo'), card.bus);
}

/**
 * Every open file of a card's driver shows what its client holds (Documentation/gpu/drm-usage-stats.rst of Linux); several files may be one
 * client. `drm-resident-vram0` is the newer key, `drm-memory-vram` the one of amdgpu before.
 */
function fromFileInfo(folder: string, bus: string): number | null {
  const clients = new Map<string, number>();
  for (const text of filesIn(folder)) {
    const value = (key: string) => new RegExp(`^${key}:\\s+(.+)$`, 'm').exec(text)?.[1];
    if (value('drm-pdev') !== bus) continue;
    const held = /^drm-(?:resident|memory)-vram\d*:\s+(\d+)(?: (KiB|MiB))?$/m.exec(text);
    if (!held) continue;
    const unit = held[2] === 'MiB' ? 2 ** 20 : held[2] === 'KiB' ? 2 ** 10 : 1;
    clients.set(value('drm-client-id') ?? text, Number(held[1]) * unit);
  }
  return clients.size === 0 ? null : [...clients.values()].reduce((all, bytes) => all + bytes, 0);
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder).flatMap((name) => {
      try {
        return [readFileSync(join(folder, name), 'utf8')];
      } catch {
        // It has been closed meanwhile.
        return [];
      }
    });
  } catch {
    return [];
  }
}

/** What a process holds on AMD's and Intel's cards, from a folder that stands for /proc. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Card } from '../../../src/machine/cards/card.js';
import { bytesOnCard } from '../../../src/machine/cards/card-use.js';
import { tempFolder } from '../../fixtures/temp-folder.js';

const RADEON: Card = {
  ...{ maker: 'AMD', name: 'AMD Radeon RX 6700', bus: '0000:03:00.0', kind: 'discrete', memory: null },
  ...{ hasDisplay: false, driver: 'amdgpu', cuda: null },
};

test('each client of the card counts once, clients of another card and other files not at all', (t) => {
  const at = tempFolder(t);
  mkdirSync(at('proc/42/fdinfo'), { recursive: true });
  const file = (name: string, bus: string, client: number, held: string) =>
    writeFileSync(
      at(`proc/42/fdinfo/${name}`),
      `pos:\t0\nflags:\t02400002\ndrm-driver:\tamdgpu\ndrm-client-id:\t${client}\ndrm-pdev:\t${bus}\n${held}\n`,
    );
  file('20', '0000:03:00.0', 7, 'drm-memory-vram:\t2048 KiB');
  file('21', '0000:03:00.0', 7, 'drm-memory-vram:\t2048 KiB');
  file('22', '0000:03:00.0', 8, 'drm-total-vram0:\t9 MiB\ndrm-resident-vram0:\t3 MiB');
  file('23', '0000:65:00.0', 9, 'drm-memory-vram:\t900000 KiB');
  writeFileSync(at('proc/42/fdinfo/1'), 'pos:\t0\nflags:\t02\n');
  assert.equal(bytesOnCard(RADEON, 42, at('')), 5 * 2 ** 20);
  assert.equal(bytesOnCard(RADEON, 43, at('')), null);
  assert.equal(bytesOnCard({ ...RADEON, bus: '0000:09:00.0' }, 42, at('')), null);
});

/** AMD's and Intel's cards from a folder that stands for /sys, and all cards in one order. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { type Card, inOrder } from '../../../src/machine/cards/card.js';
import { cardNamed } from '../../../src/machine/cards/cards.js';
import { readDrmCards } from '../../../src/machine/cards/sysfs.js';
import { tempFolder } from '../../fixtures/temp-folder.js';

interface Shown {
  readonly vendor: string;
  readonly device: string;
  readonly bus: string;
  readonly driver: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly screens?: readonly string[];
}

/** The folder that stands for the root. */
function systemWith(t: TestContext, cards: readonly Shown[], pciIds = ''): string {
  const folder = tempFolder(t);
  const write = (path: string, text: string) => {
    mkdirSync(dirname(folder(path)), { recursive: true });
    writeFileSync(folder(path), text);
  };
  write('usr/share/misc/pci.ids', pciIds);
  for (const [n, { vendor, device, bus, driver, files = {}, screens = [] }] of cards.entries()) {
    const card = `sys/class/drm/card${n}`;
    write(`${card}/device/vendor`, `${vendor}\n`);
    write(`${card}/device/device`, `${device}\n`);
    write(`${card}/device/uevent`, `DRIVER=${driver}\nPCI_CLASS=30000\nPCI_SLOT_NAME=${bus}\n`);
    symlinkSync(`../../../../bus/pci/drivers/${driver}`, folder(`${card}/device/driver`));
    for (const [name, text] of Object.entries(files)) write(`${card}/device/${name}`, `${text}\n`);
    for (const [screen, state] of screens.map((each) => each.split(' ')))
      write(`${card}-${screen}/enabled`, `${state}\n`);
  }
  return folder('');
}

const RADEON: Shown = {
  ...{ vendor: '0x1002', device: '0x73df', bus: '0000:03:00.0', driver: 'amdgpu' },
  files: { mem_info_vram_total: '12868124672', mem_info_vram_used: '868124672', mem_info_vram_vendor: 'samsung' },
  screens: ['HDMI-A-1 disabled', 'DP-1 enabled'],
};
const APU: Shown = {
  ...{ vendor: '0x1002', device: '0x1681', bus: '0000:65:00.0', driver: 'amdgpu' },
  files: { mem_info_vram_total: '536870912', mem_info_vram_used: '100', mem_info_vram_vendor: 'unknown' },
};
const IRIS: Shown = { vendor: '0x8086', device: '0x9a49', bus: '0000:00:02.0', driver: 'i915' };
const ARC: Shown = { vendor: '0x8086', device: '0x56a0', bus: '0000:04:00.0', driver: 'xe' };
const SERVER: Shown = { vendor: '0x1a03', device: '0x2000', bus: '0000:02:00.0', driver: 'ast' };
const GEFORCE: Shown = { vendor: '0x10de', device: '0x1f08', bus: '0000:01:00.0', driver: 'nvidia' };

const PCI_IDS = `# a comment
1002  Advanced Micro Devices, Inc. [AMD/ATI]
\t73df  Navi 22 [Radeon RX 6700/6700 XT]
\t\t1002 0e36  A subsystem
8086  Intel Corporation
\t56a0  DG2 [Arc A770]
`;

test('cards of AMD and Intel have their names, their memory, and whether they are integrated', (t) => {
  const cards = readDrmCards(systemWith(t, [RADEON, APU, IRIS, ARC, SERVER, GEFORCE], PCI_IDS));
  assert.deepEqual(cards[0], {
    maker: 'AMD',
    name: 'AMD Radeon RX 6700/6700 XT',
    bus: '0000:03:00.0',
    kind: 'discrete',
    memory: { total: 12868124672, free: 12000000000 },
    hasDisplay: true,
    driver: 'amdgpu',
    cuda: null,
  });
  assert.deepEqual(
    cards.map(({ name, kind, memory }) => [name, kind, memory === null]),
    [
      ['AMD Radeon RX 6700/6700 XT', 'discrete', false],
      ['AMD integrated graphics 1681', 'integrated', true],
      ['Intel integrated graphics 9a49', 'integrated', true],
      ['Intel Arc A770', 'discrete', true],
    ],
  );
});

test('a system without such a folder has no cards', (t) => {
  assert.deepEqual(readDrmCards(tempFolder(t)('')), []);
});

function card(facts: Partial<Card>): Card {
  const base = { maker: 'AMD', name: 'a card', bus: null, kind: 'discrete', memory: null } as const;
  return { ...base, hasDisplay: false, driver: 'amdgpu', cuda: null, ...facts };
}

function nvidia(index: number, bus: string): Card {
  return card({
    maker: 'NVIDIA',
    name: `RTX ${index}`,
    bus,
    cuda: { index, visibleAs: String(index), computeCapability: '8.6' },
  });
}

test('cards with memory of their own come first, then by the bus; NVIDIA’s as CUDA counts them', () => {
  const iris = card({ maker: 'Intel', name: 'Iris', kind: 'integrated', bus: '0000:00:02.0' });
  const radeon = card({ name: 'Radeon', bus: '0000:03:00.0' });
  const names = (cards: readonly Card[]) => inOrder(cards).map(({ name }) => name);
  assert.deepEqual(names([iris, radeon, nvidia(0, '0000:01:00.0')]), ['RTX 0', 'Radeon', 'Iris']);
  // CUDA_VISIBLE_DEVICES=1,0: the card on the later bus is CUDA's first.
  assert.deepEqual(names([nvidia(0, '0000:65:00.0'), nvidia(1, '0000:01:00.0'), radeon]), ['RTX 0', 'Radeon', 'RTX 1']);
});

test('the order holds whatever the cards: none is lost, and those of CUDA keep its order', () => {
  const any = fc.record({
    bus: fc.option(fc.stringMatching(/^[0-3]$/)),
    kind: fc.constantFrom('discrete', 'integrated'),
    isNvidia: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(any, { maxLength: 8 }), (all) => {
      let index = 0;
      const cards = all.map(({ bus, kind, isNvidia }) =>
        card({
          bus,
          kind: kind as Card['kind'],
          ...(isNvidia ? { cuda: { index: index++, visibleAs: '', computeCapability: null } } : {}),
        }),
      );
      const ordered = inOrder(cards);
      assert.deepEqual(new Set(ordered), new Set(cards));
      assert.deepEqual(
        ordered.flatMap(({ cuda }) => cuda?.index ?? []),
        [...Array(index).keys()],
      );
      const others = ordered
        .filter(({ cuda }) => cuda === null)
        .map(({ kind, bus }) => `${kind === 'integrated' ? 1 : 0} ${bus ?? '~'}`);
      assert.deepEqual(others, others.toSorted());
    }),
  );
});

test('a card is chosen by a part of its name, and what is not one card is refused with the list', () => {
  const cards = [
    nvidia(0, '0000:01:00.0'),
    card({ name: 'AMD Radeon RX 6700' }),
    card({ name: 'AMD Radeon integrated' }),
  ];
  assert.equal(cardNamed('rtx', cards), 0);
  assert.equal(cardNamed('RX 67', cards), 1);
  assert.throws(() => cardNamed('radeon', cards), {
    code: 'TANDEM_DEVICE_MISSING',
    message: /2 cards have this name/,
    remedy: /gpu:2 is AMD Radeon integrated/,
  });
  assert.throws(() => cardNamed('arc', cards), { code: 'TANDEM_DEVICE_MISSING', message: /no card has this name/ });
});

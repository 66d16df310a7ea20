/** AMD's and Intel's cards as Linux shows them in /sys/class/drm, and NVIDIA's where its own driver is not the one that runs it. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Capacity } from '../machine.js';
import type { Card, Link } from './card.js';

const MAKERS: Record<string, Card['maker']> = { '0x1002': 'AMD', '0x8086': 'Intel', '0x10de': 'NVIDIA' };

/** Where Linux distributions keep the names of PCI devices. */
const PCI_NAMES = ['usr/share/hwdata/pci.ids', 'usr/share/misc/pci.ids'];

/** `root` is the folder that contains /sys and /usr. Adapters that cannot compute, as those of servers and virtual machines, are left out. */
export function readDrmCards(root = '/'): Card[] {
  const folder = join(root, 'sys/class/drm');
  return list(folder)
    .filter((name) => /^card\d+$/.test(name))
    .flatMap((name) => {
      const device = join(folder, name, 'device');
      const maker = MAKERS[text(join(device, 'vendor')) ?? ''];
      const driver = driverOf(device);
      // The nvidia driver reports its own cards.
      return maker && driver !== null && driver !== 'nvidia' ? [cardOf(root, name, device, maker, driver)] : [];
    });
}

function cardOf(root: string, name: string, device: string, maker: Card['maker'], driver: string): Card {
  const bus = busOf(device);
  const integrated = isIntegrated(maker, bus, device);
  const version = text(join(root, 'sys/module', driver, 'version'));
  return {
    maker,
    name: nameOf(root, device, maker, integrated),
    bus,
    kind: integrated ? 'integrated' : 'discrete',
    memory: integrated ? null : memoryOf(device),
    hasDisplay: hasDisplay(root, name),
    driver: version === null ? driver : `${driver} ${version}`,
    cuda: null,
  };
}

/**
 * Intel's integrated graphics are device 2 of the first bus on every processor that has them. Of AMD, amdgpu names the maker of the memory
 * chips (`mem_info_vram_vendor`), which an integrated card does not have.
 */
function isIntegrated(maker: Card['maker'], bus: string | null, device: string): boolean {
  if (maker === 'Intel') return bus === '0000:00:02.0';
  if (maker !== 'AMD') return false;
  const vendor = text(join(device, 'mem_info_vram_vendor'));
  return vendor === 'unknown' || (vendor === null && memoryOf(device) === null);
}

function memoryOf(device: string): Capacity | null {
  const [total, used] = ['total', 'used'].map((word) =>
    Number(text(join(device, `mem_info_vram_${word}`)) ?? Number.NaN),
  );
  return total! > 0 ? { total: total!, free: Math.max(0, total! - (used || 0)) } : null;
}

function nameOf(root: string, device: string, maker: string, integrated: boolean): string {
  const product = text(join(device, 'product_name'));
  if (product) return product.startsWith(maker) ? product : `${maker} ${product}`;
  const [vendor, id] = ['vendor', 'device'].map((file) => text(join(device, file))?.replace('0x', '') ?? '');
  const known = pciName(root, vendor!, id!);
  return `${maker} ${known ?? `${integrated ? 'integrated graphics' : 'card'} ${id}`}`;
}

/** The folder in /sys of the card on this bus. */
function deviceOn(bus: string, root: string): string {
  return join(root, 'sys/bus/pci/devices', bus);
}

/** Its own memory now; `null` for cards whose drivers report none. */
export function memoryNow(bus: string, root = '/'): Capacity | null {
  return memoryOf(deviceOn(bus, root));
}

/** How it is connected, and its power limit: microwatts in the kernel's folder for sensors. */
export function linkOf(bus: string, root = '/'): Link {
  const device = deviceOn(bus, root);
  const number = (file: string) => {
    const value = Number(text(join(device, file)) ?? Number.NaN);
    return value > 0 ? value : null;
  };
  const [sensors] = list(join(device, 'hwmon'));
  const microwatts = sensors === undefined ? null : number(`hwmon/${sensors}/power1_cap`);
  return {
    lanes: number('current_link_width'),
    mostLanes: number('max_link_width'),
    speed: text(join(device, 'current_link_speed'))?.replace(/ PCIe$/, '') ?? null,
    powerLimitWatts: microwatts === null ? null : microwatts / 1e6,
  };
}

/** `Navi 22 [Radeon RX 6700]` is reported as `Radeon RX 6700`. */
function pciName(root: string, vendor: string, id: string): string | null {
  for (const file of PCI_NAMES) {
    const names = text(join(root, file));
    const start = names?.search(new RegExp(`^${vendor}  `, 'm')) ?? -1;
    if (!names || start < 0) continue;
    const [block] = names.slice(start).split(/\n(?=[0-9a-f]{4} {2})/, 1);
    const found = new RegExp(`^\\t${id}  (.+)$`, 'm').exec(block!)?.[1];
    if (found) return /\[(.+)\]/.exec(found)?.[1] ?? found;
  }
  return null;
}

function driverOf(device: string): string | null {
  const fromLink = link(join(device, 'driver'));
  return fromLink === null ? null : basename(fromLink);
}

function busOf(device: string): string | null {
  return /^PCI_SLOT_NAME=(\S+)$/m.exec(text(join(device, 'uevent')) ?? '')?.[1]?.toLowerCase() ?? null;
}

/** Its connectors are folders beside it: `card0-HDMI-A-1`. */
function hasDisplay(root: string, card: string): boolean {
  const folder = join(root, 'sys/class/drm');
  const connectors = list(folder).filter((name) => name.startsWith(`${card}-`));
  return connectors.some((name) => text(join(folder, name, 'enabled')) === 'enabled');
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function link(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

function text(file: string): string | null {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return null;
  }
}

/** The NVIDIA driver and its cards, from NVML, else from `nvidia-smi`, else from the driver's files; no CUDA library is loaded. */
import type { Card } from './card.js';
import { askNvidiaSmi, type DriverAnswer, kernelModuleVersion, readDriverFiles } from './nvidia-smi.js';
import { NVML_FAULTS, Nvml, type NvmlCard, openNvml } from './nvml.js';

export interface NvidiaDriver {
  /** Version of the driver: `580.65.06`; empty if it is not known. */
  readonly version: string;
  /** Why no card of this driver can be used, with what to do; `null` if they can. */
  readonly fault: { readonly why: string; readonly remedy: string } | null;
  /** In CUDA's order: those of CUDA_VISIBLE_DEVICES in its order, else all in the order of the PCI bus. */
  readonly cards: readonly NvidiaCard[];
}

export interface NvidiaCard extends Card {
  readonly uuid: string;
}

export interface DriverPlaces {
  /** The folder that contains /proc. */
  readonly root?: string;
  /** The driver's command. */
  readonly smi?: string;
  /** NVML's file; `null` to do without. */
  readonly nvml?: string | null;
  readonly visible?: string | undefined;
}

/** For a stage's process: what CUDA_VISIBLE_DEVICES was where tandem was started. */
const FROM_PARENT = 'VISIBLE_CARDS_OF_TANDEM';
const UNSET = 'all';

/**
 * CUDA_VISIBLE_DEVICES as it was when tandem was started. Engines that take one card set it for their own process; the numbers of cards are
 * those of the whole list all the same.
 */
const VISIBLE = ((inherited) =>
  inherited === undefined ? process.env.CUDA_VISIBLE_DEVICES : inherited === UNSET ? undefined : inherited)(
  process.env[FROM_PARENT],
);

/** For the environment of a process in which an engine sets CUDA_VISIBLE_DEVICES. */
export function visibleCardsVariable(): Record<string, string> {
  return { [FROM_PARENT]: VISIBLE ?? UNSET };
}

const opened = new Map<string | undefined, ReturnType<typeof openNvml>>();

/** NVML stays open: to start it takes 10 ms, a question then about a microsecond. */
function nvmlOf(file: string | undefined): ReturnType<typeof openNvml> {
  if (!opened.has(file)) opened.set(file, openNvml(file));
  return opened.get(file)!;
}

/** The driver, or `null` if there is none. */
export function readNvidiaDriver(places: DriverPlaces = {}): NvidiaDriver | null {
  const { root = '/', smi = 'nvidia-smi' } = places;
  const visible = 'visible' in places ? places.visible : VISIBLE;
  const nvml = places.nvml === null ? null : nvmlOf(places.nvml);
  const answer = answerOf(nvml, root) ?? askNvidiaSmi(smi) ?? readDriverFiles(root);
  if (answer === null) return null;
  const version = answer.version || (kernelModuleVersion(root) ?? '');
  const cards = visibleCards(answer.cards, visible).map((card, index) => cardOf(card, index, version));
  return { version, fault: faultOf(answer, version, cards.length, visible), cards };
}

/** Bytes that each process holds on a card, by process id; empty if the driver does not report it. */
export function bytesOfProcesses({ uuid }: Pick<NvidiaCard, 'uuid'>, file?: string): ReadonlyMap<number, number> {
  return openedNvml(file)?.processes(uuid) ?? new Map();
}

/** NVML, if it is what answers here: `nvidia-smi` takes too long to be asked in mid-run. */
export function openedNvml(file?: string): Nvml | null {
  const nvml = nvmlOf(file);
  return nvml instanceof Nvml ? nvml : null;
}

function answerOf(nvml: ReturnType<typeof openNvml>, root: string): DriverAnswer | null {
  if (nvml === null) return null;
  if (nvml instanceof Nvml) return { version: nvml.driverVersion, cards: nvml.cards(), fault: null };
  const { failed } = nvml;
  const loaded = kernelModuleVersion(root);
  // The library alone, as in an image that was built for machines with cards.
  if (failed === NVML_FAULTS.driverNotLoaded && loaded === null) return null;
  const fault = FAULTS[failed] ?? `the driver answers with error ${failed} of NVML`;
  return { version: '', cards: [], fault };
}

const FAULTS: Record<number, string> = {
  [NVML_FAULTS.noPermission]: 'this user may not use the cards',
  [NVML_FAULTS.driverNotLoaded]: 'the driver is not loaded into the kernel',
  [NVML_FAULTS.gpuIsLost]: 'a card has fallen off the bus',
  [NVML_FAULTS.versionMismatch]: 'Driver/library version mismatch',
};

function faultOf(
  { fault }: DriverAnswer,
  version: string,
  cards: number,
  visible: string | undefined,
): NvidiaDriver['fault'] {
  if (fault !== null && /mismatch/.test(fault)) {
    return {
      why: `the kernel has loaded driver ${version || 'of one version'} and its libraries are of another (${fault})`,
      remedy: 'restart the machine: the driver was updated while it ran',
    };
  }
  if (fault !== null) return { why: fault, remedy: 'restart the machine, or install the driver again' };
  if (cards > 0) return null;
  if (visible !== undefined)
    return { why: `CUDA_VISIBLE_DEVICES="${visible}" lets no card through`, remedy: 'unset CUDA_VISIBLE_DEVICES' };
  return {
    why: 'the driver finds no card',
    remedy: 'in a container: docker run --gpus all …; in MIG mode: nvidia-smi mig -cgi … -C makes a part to use',
  };
}

function cardOf(card: NvmlCard & { readonly visibleAs: string }, index: number, version: string): NvidiaCard {
  const { name, bus, memory, hasDisplay, uuid, visibleAs, computeCapability } = card;
  return {
    maker: 'NVIDIA',
    name,
    bus,
    // On Orin and Grace the driver reports no memory: there is none but the machine's.
    kind: memory === null && computeCapability !== null ? 'integrated' : 'discrete',
    memory,
    hasDisplay,
    driver: `nvidia ${version}`,
    cuda: { index, visibleAs, computeCapability },
    uuid,
  };
}

/** By CUDA's rule: entries are numbers or beginnings of UUIDs, and the first entry without a card ends the list. */
function visibleCards(cards: readonly NvmlCard[], visible: string | undefined) {
  // Of a divided card CUDA sees one part, the first, unless the variable names another.
  const usable = (card: NvmlCard | undefined) => (card?.parts ? card.parts[0] : card);
  if (visible === undefined) {
    return cards.flatMap((card, n) => {
      const found = usable(card);
      return found ? [{ ...found, visibleAs: card.parts ? found.uuid : String(n) }] : [];
    });
  }
  const chosen: (NvmlCard & { visibleAs: string })[] = [];
  const all = cards.flatMap((card) => card.parts ?? [card]);
  for (const entry of visible.split(',').map((each) => each.trim())) {
    const card = /^\d+$/.test(entry)
      ? usable(cards[Number(entry)])
      : usable(
          all.find(({ uuid }) => entry && uuid.startsWith(entry)) ??
            cards.find(({ uuid }) => entry && uuid.startsWith(entry)),
        );
    if (!card) break;
    chosen.push({ ...card, visibleAs: entry });
  }
  return chosen;
}

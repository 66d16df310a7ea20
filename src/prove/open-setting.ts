/** Finds what the claims are tried with: the providers that compute on a card or a software adapter, the card, and models that suit the time. */
import { isOnePerProcess } from '../engine/choose.js';
import { parseDevice } from '../engine/device.js';
import { onnxruntimeEngine } from '../engine/onnxruntime/engine.js';
import { TandemError } from '../errors.js';
import { readCards } from '../machine/cards/cards.js';
import { RunFailed } from './claim.js';
import type { DoctorLine } from './claims/card.js';
import type { Command } from './command.js';
import { type CardProvider, MICRO_BATCH, type Setting, stageOn } from './setting.js';
import { OUTPUTS, type Size, Subjects } from './subjects.js';

export interface Asked {
  /** `gpu`, `gpu:1`. */
  readonly device: string;
  /** Only this provider; tried even if doctor says that it does not work. */
  readonly provider?: string | undefined;
  /** Of the whole proof. */
  readonly seconds: number;
}

export interface Opened {
  readonly setting: Setting;
  /** Doctor's lines of providers that compute on cards. */
  readonly doctor: readonly DoctorLine[];
}

const ON_CARDS = onnxruntimeEngine.providers.filter(({ devices }) => devices.includes('gpu')).map(({ name }) => name);

/** The share of the time that is kept for the sustained run. */
const SUSTAINED_SHARE = 0.2;

/** With less time in all, only the smallest models are tried. */
const SHORT_SECONDS = 180;

/** Throws TANDEM_DEVICE_MISSING if nothing computes on a card or a software adapter. `starts` gives a command with these flags in every run. */
export async function openSetting(
  { device, provider, seconds }: Asked,
  starts: (always: readonly string[]) => Command,
): Promise<Opened> {
  const doctor = await askDoctor(starts([]));
  const works = doctor.filter(({ facts, name }) => (provider ? name === labelOf(provider) : facts?.deviceName));
  const providers = works.map(
    ({ name, found, facts }): CardProvider => ({
      name: name.replace(/^onnxruntime /, ''),
      deviceName: facts?.deviceName ?? found,
      onePerProcess: isOnePerProcess(onnxruntimeEngine.id, name.replace(/^onnxruntime /, '')),
    }),
  );
  const [first, ...others] = providers;
  if (!first) {
    const said = doctor.map(({ name, found }) => `${name}: ${found}`).join('; ');
    throw new TandemError('TANDEM_DEVICE_MISSING', `nothing computes on a card here (${said})`, {
      remedy: 'tandem doctor says what to type; on Debian, chromium-common and libvulkan1 bring a software adapter',
    });
  }
  const card = works[0]!.facts?.device === 'CPU' ? null : (readCards()[parseDevice(device).index] ?? null);
  const command = starts(card === null ? ['--allow-fallback'] : []);
  const setting = {
    command,
    device,
    card,
    providers: [first, ...others] as Setting['providers'],
    measured: { rowsPerSecond: new Map(), heldBytes: new Map(), comparisons: [] },
    sustainedSeconds: SUSTAINED_SHARE * seconds,
  };
  const largest = seconds < SHORT_SECONDS ? 'tiny' : card === null ? 'small' : 'base';
  return { doctor, setting: { ...setting, subjects: await subjectsFor(setting, seconds, largest) } };
}

function labelOf(provider: string): string {
  return `onnxruntime ${provider}`;
}

async function askDoctor(command: Command): Promise<DoctorLine[]> {
  const { stdout } = await command.end(['doctor', '--json']);
  const { checks } = JSON.parse(stdout) as { readonly checks: readonly DoctorLine[] };
  return checks.filter(({ name }) => ON_CARDS.some((provider) => name === labelOf(provider)));
}

const SMALLER: Record<Size, Size | null> = { base: 'small', small: 'tiny', tiny: null };

/** The largest models of which two micro-batches take a sixtieth of the time at most, on the CPU and on the card, started and all. */
async function subjectsFor(setting: Omit<Setting, 'subjects'>, seconds: number, largest: Size): Promise<Subjects> {
  const { command } = setting;
  for (let size = largest; ; size = SMALLER[size]!) {
    const subjects = new Subjects(command.folder, size);
    if (SMALLER[size] === null) return subjects;
    const args = [...subjects.rows('BERT', 16), '--keep', OUTPUTS.small, ...MICRO_BATCH];
    const took = async (stage: string): Promise<number> => {
      try {
        return (await command.run(subjects.model('BERT'), [...args, '-s', stage])).seconds;
      } catch (error) {
        // What does not run is no matter of size; the claims find it.
        if (error instanceof RunFailed) return 0;
        throw error;
      }
    };
    if (Math.max(await took('cpu'), await took(stageOn({ ...setting, subjects }))) <= seconds / 60) return subjects;
  }
}

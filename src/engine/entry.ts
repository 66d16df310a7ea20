/** An engine's entry: its description, without loading the engine. Entries are imported at every start, so they import nothing heavy. */
import type { ModelFormat, ModelGraph } from '../model/graph.js';
import type { Device } from './device.js';
import type { Engine } from './engine.js';

export interface EngineEntry {
  /** In plans, journals and messages. */
  readonly id: string;
  /** The model formats that it runs. */
  readonly formats: readonly ModelFormat[];
  /** For each kind of device in the order of preference. */
  readonly providers: readonly ProviderEntry[];
  /** Loads the engine's own code; native libraries wait for `Engine.load`. */
  readonly open: () => Promise<Engine>;
  /** Environment variables that its native library reads once, when it is loaded into the process. `memory`: bytes that the stage may hold. */
  readonly environment: (threads: number, device: Device, memory?: number) => Record<string, string>;
  /** Called in a process before it starts workers, whichever engine they load. */
  readonly prepareProcess?: () => void;
  /** Whether two workers of one process must not start at the same time. */
  readonly startsAlone: boolean;
  /** Whether its stages should be processes by default. */
  readonly prefersProcess: boolean;
  /** Why its stages cannot rotate, if so. */
  readonly noRotation?: string;
  /** Whether a row's answer is independent of its micro-batch if the model's ops keep rows apart. If not, each model is tested. */
  readonly batchInvariant: boolean;
  /**
   * Forbidden cuts: positions k between op k-1 and op k, besides those that the model's format forbids. The engine fuses the ops there, or
   * cannot return a live tensor. Throws TANDEM_MODEL_UNSUPPORTED for a model that it cannot run at all.
   */
  readonly forbiddenCuts: (graph: ModelGraph) => Promise<ReadonlySet<number>>;
  /** Loads it and computes one small thing. Called in a process of its own, which a native error may end. */
  readonly probe: (provider: string, packageFolder?: string) => Promise<EngineFacts>;
}

/** A provider: a device library that the engine can compute with. */
export interface ProviderEntry {
  readonly name: string;
  readonly devices: readonly Device['kind'][];
  /** Whether its files are installed, without loading it: then it may be chosen by default. */
  readonly isInstalled: () => boolean;
  /** The build that computes, readable: `onnxruntime-node 1.30.0`. It changes with the library. Loads nothing. */
  readonly build: () => string;
  /** A notice before a job starts with it, with what to type instead. */
  readonly caution?: string;
  /** Whether a process can have only one worker with it. */
  readonly onePerProcess?: boolean;
  /** How `tandem doctor` checks it; left out if it does not. */
  readonly check?: ProviderCheck;
}

export interface ProviderCheck {
  /** The name of its line. */
  readonly label: string;
  /** The severity if it does not work: `missing` stops jobs that need it, `note` stops nothing; `null`: it is not checked on this machine. */
  readonly loss: (machine: CheckedMachine) => 'missing' | 'note' | null;
  /** The folder of the package to try, `null` if it is not installed. Left out if the engine finds its packages itself. */
  readonly packageFolder?: () => string | null;
  readonly mend: (problem: Problem, machine: CheckedMachine) => Mending;
}

export interface CheckedMachine {
  readonly platform: NodeJS.Platform;
  readonly hasNvidiaDriver: boolean;
}

/** It is not installed, it does not work for a reason that it gave, or it was asked for a card and computes on the CPU. */
export type Problem = 'not-installed' | 'on-cpu' | { readonly reason: string; readonly remedy?: string | undefined };

export interface Mending {
  /** The problem in words, if they are clearer than the engine's reason. */
  readonly found?: string;
  /** What to type; left out if there is nothing to do. */
  readonly remedy?: string | undefined;
}

/** The report of a working engine. */
export interface EngineFacts {
  /** Of the native library: TensorFlow 2.21.0, ONNX Runtime 1.30.0. */
  readonly version: string;
  /** The kind of device that computed. */
  readonly device: 'CPU' | 'GPU';
  /** Its name by the driver or library. */
  readonly deviceName: string;
}

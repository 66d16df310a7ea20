/** Words of other tools (vllm, llama.cpp, transformers, torchrun, Triton), and tandem's own word for each. */

/** What a person most likely wants: a flag, with an example. */
export interface Synonym {
  /** The flag that a command must have for the advice to be true; absent if the advice is not a flag. */
  readonly flag: string | null;
  readonly advice: (value: string) => string;
}

const same = (flag: string): Synonym => ({
  flag,
  advice: (value) => `did you mean ${flag}${value && ` ${value}`}?`,
});
const stage = (key: string, example: string): Synonym => ({
  flag: '--stage',
  advice: (value) => `it belongs to a stage: --stage cpu,${key}=${value || example}`,
});
const onCard = (key: string, example: string): Synonym => ({
  flag: '--stage',
  advice: (value) => `it belongs to a stage: --stage gpu,${key}=${value || example} --stage cpu`,
});
const other = (advice: string): Synonym => ({ flag: null, advice: () => advice });

const MICRO_BATCH = same('--micro-batch');
const WORKERS = stage('workers', '2');
const STAGES: Synonym = {
  flag: '--stage',
  advice: () => 'write --stage once for each stage, in order: --stage gpu --stage cpu',
};
const DEBUG = other('progress is shown unless --quiet is given; TANDEM_DEBUG=1 shows where an error comes from');
const TYPES = other('a model computes in the types that it was saved with: convert the model');

/** By the flag without its dashes, words joined by `-`. */
const FLAGS: Readonly<Record<string, Synonym>> = {
  batch: MICRO_BATCH,
  'batch-size': MICRO_BATCH,
  bs: MICRO_BATCH,
  'max-batch-size': MICRO_BATCH,
  'ubatch-size': MICRO_BATCH,
  ub: MICRO_BATCH,
  'max-num-seqs': MICRO_BATCH,
  'per-device-eval-batch-size': MICRO_BATCH,
  device: { flag: '--stage', advice: (value) => `did you mean --stage ${deviceWord(value) ?? (value || 'gpu')}?` },
  devices: STAGES,
  gpu: { flag: '--stage', advice: () => 'did you mean --stage gpu?' },
  cuda: { flag: '--stage', advice: () => 'did you mean --stage gpu?' },
  'use-gpu': { flag: '--stage', advice: () => 'did you mean --stage gpu?' },
  cpu: { flag: '--stage', advice: () => 'did you mean --stage cpu?' },
  gpus: STAGES,
  'num-gpus': STAGES,
  stages: STAGES,
  'pipeline-parallel-size': STAGES,
  pp: STAGES,
  'tensor-parallel-size': STAGES,
  tp: STAGES,
  'n-gpu-layers': onCard('layers', '0..N'),
  'gpu-layers': onCard('layers', '0..N'),
  ngl: onCard('layers', '0..N'),
  layers: stage('layers', '0..5'),
  memory: onCard('memory', '6GiB'),
  vram: onCard('memory', '6GiB'),
  'max-memory': onCard('memory', '6GiB'),
  'gpu-memory': onCard('memory', '6GiB'),
  'gpu-memory-utilization': { flag: '--stage', advice: () => 'give it in bytes: --stage gpu,memory=6GiB' },
  workers: WORKERS,
  'num-workers': WORKERS,
  'nproc-per-node': WORKERS,
  replicas: WORKERS,
  parallel: WORKERS,
  np: WORKERS,
  j: WORKERS,
  threads: stage('threads', '4'),
  'num-threads': stage('threads', '4'),
  t: stage('threads', '4'),
  provider: stage('provider', 'cpu'),
  providers: stage('provider', 'cpu'),
  'execution-provider': stage('provider', 'cpu'),
  ep: stage('provider', 'cpu'),
  'input-file': same('--input'),
  'input-path': same('--input'),
  in: same('--input'),
  data: same('--input'),
  dataset: same('--input'),
  file: same('--input'),
  out: same('--output'),
  'output-file': same('--output'),
  'output-path': same('--output'),
  'output-dir': same('--output'),
  format: {
    flag: '--input-format',
    advice: (value) => `did you mean --input-format ${value || 'jsonl'}, or --output-format?`,
  },
  model: other('the model is the first word: tandem run MODEL …'),
  m: other('the model is the first word: tandem run MODEL …'),
  timeout: same('--deadline'),
  'in-flight': same('--depth'),
  prefetch: same('--depth'),
  overwrite: { flag: '--force', advice: () => 'did you mean --force?' },
  y: { flag: '--force', advice: () => 'did you mean --force?' },
  restart: { flag: '--force-new', advice: () => 'did you mean --force-new?' },
  resume: other('the same command resumes a job that was stopped; or: tandem resume OUTPUT'),
  'dry-run': other('this shows what a run would do: tandem plan MODEL'),
  profile: other('did you mean: tandem profile MODEL?'),
  config: other('settings are read from tandem.config.json in the working folder'),
  'skip-errors': other('rows that fail never stop a run; --max-errors limits how many may'),
  port: same('--metrics-port'),
  silent: { flag: '--quiet', advice: () => 'did you mean --quiet?' },
  verbose: DEBUG,
  v: DEBUG,
  debug: DEBUG,
  'log-level': DEBUG,
  dtype: TYPES,
  precision: TYPES,
  fp16: TYPES,
  quantization: TYPES,
  host: same('--metrics-host'),
};

/** By the first word of the command. */
const VERBS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['exec', 'execute', 'predict', 'infer', 'inference', 'eval', 'start', 'batch', 'apply'].map((verb) => [
      verb,
      'did you mean: tandem run MODEL --input ROWS --output RESULTS?',
    ]),
  ),
  ...Object.fromEntries(
    ['ls', 'list', 'show', 'info', 'describe', 'summary', 'layers'].map((verb) => [
      verb,
      'did you mean: tandem inspect MODEL?',
    ]),
  ),
  ...Object.fromEntries(['benchmark', 'perf', 'time'].map((verb) => [verb, 'did you mean: tandem bench MODEL?'])),
  ...Object.fromEntries(['check', 'diagnose', 'env', 'devices'].map((verb) => [verb, 'did you mean: tandem doctor?'])),
  ...Object.fromEntries(['continue', 'restart'].map((verb) => [verb, 'did you mean: tandem resume OUTPUT?'])),
  serve: 'tandem runs batch jobs and is no server: tandem run MODEL --input ROWS --output RESULTS',
  version: 'did you mean: tandem --version?',
  install: 'did you mean: tandem setup tensorflow?',
  ps: 'did you mean: tandem status OUTPUT?',
  convert: 'tandem converts no models; tandem inspect FILE names the program that does',
  export: 'tandem converts no models; tandem inspect FILE names the program that does',
};

/** Names of other tools for the settings of a stage. */
const STAGE_KEYS: Readonly<Record<string, string>> = {
  vram: 'memory',
  ram: 'memory',
  limit: 'memory',
  budget: 'memory',
  cores: 'threads',
  cpus: 'threads',
  replicas: 'workers',
  instances: 'workers',
  processes: 'workers',
  ep: 'provider',
  engine: 'provider',
  backend: 'provider',
  weight: 'turns',
};

export function flagSynonym(name: string): Synonym | null {
  const words = name.replace(/^-+/, '').replace(/_/g, '-').toLowerCase();
  return Object.hasOwn(FLAGS, words) ? FLAGS[words]! : null;
}

export function verbSynonym(verb: string): string | null {
  return Object.hasOwn(VERBS, verb) ? VERBS[verb]! : null;
}

export function stageKeySynonym(key: string): string | null {
  return Object.hasOwn(STAGE_KEYS, key) ? STAGE_KEYS[key]! : null;
}

/** `gpu`, `gpu:1` or `cpu` for another word for it, or `null`. */
export function deviceWord(text: string): string | null {
  const match = /^(gpu|cuda|nvidia|rocm|amd|mps|metal|webgpu|vulkan|card|cpu|host)[:]?(\d{1,2})?$/i.exec(text);
  if (!match) return null;
  const kind = /^(cpu|host)$/i.test(match[1]!) ? 'cpu' : 'gpu';
  return match[2] === undefined || Number(match[2]) === 0 ? kind : `${kind}:${match[2]}`;
}

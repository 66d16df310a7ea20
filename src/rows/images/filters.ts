/** The resampling filters of Pillow: each a weight by distance, and how far it reaches in output pixels. */

export const RESAMPLES = ['nearest', 'box', 'bilinear', 'hamming', 'bicubic', 'lanczos'] as const;
export type Resample = (typeof RESAMPLES)[number];

export interface Filter {
  /** Distance from the centre beyond which the weight is 0, in output pixels. */
  readonly support: number;
  readonly weight: (distance: number) => number;
}

/** `nearest` picks pixels and has no weights. */
export const FILTERS: Readonly<Record<Exclude<Resample, 'nearest'>, Filter>> = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: { support: 1, weight: hamming },
  bicubic: { support: 2, weight: (x) => cubic(Math.abs(x)) },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Pillow has these two in single precision. */
const HAMMING = [Math.fround(0.54), Math.fround(0.46)] as const;

function hamming(distance: number): number {
  const x = Math.abs(distance);
  if (x === 0) return 1;
  if (x >= 1) return 0;
  const angle = x * Math.PI;
  return (Math.sin(angle) / angle) * (HAMMING[0] + HAMMING[1] * Math.cos(angle));
}

/** Keys' cubic convolution with a = -0.5. */
function cubic(x: number): number {
  const a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

function sinc(x: number): number {
  if (x === 0) return 1;
  const angle = x * Math.PI;
  return Math.sin(angle) / angle;
}

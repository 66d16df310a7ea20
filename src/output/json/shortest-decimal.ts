/** The shortest decimal that is read as a given float: the slow reference for floats of any width. */

/** The interval of decimals that are read as one float: those nearer to it than to its neighbours. */
export interface RoundingInterval {
  /** Half the distance to the next float above. */
  readonly above: number;
  /** Half the distance to the next float below; at a power of two this is half of `above`. */
  readonly below: number;
  /** Whether the float's last bit is 0: a decimal exactly between two floats is read as that one. */
  readonly even: boolean;
}

/**
 * The double nearest to the shortest decimal that is read as `magnitude` (finite, above 0); of several, the nearest to `magnitude`.
 * `maxDigits` digits distinguish any two floats of the type.
 */
export function shortestDecimal(magnitude: number, interval: RoundingInterval, maxDigits: number): number {
  for (let digits = 1; digits < maxDigits; digits++) {
    const [mantissa, exponent] = magnitude.toExponential(digits - 1).split('e') as [string, string];
    const nearest = Number(`${mantissa}e${exponent}`);
    if (isRead(nearest, magnitude, interval)) return nearest;
    if (interval.above === interval.below || nearest > magnitude) continue;
    // The interval may extend further up than down: the next decimal above may be inside when the nearest, below, is not.
    const stepped = Number(`${Number(mantissa.replace('.', '')) + 1}e${Number(exponent) - (digits - 1)}`);
    if (isRead(stepped, magnitude, interval)) return stepped;
  }
  return Number(magnitude.toPrecision(maxDigits));
}

/**
 * Differences of adjacent values are exact. A double exactly between two floats equals the decimal only if all decimals of nine digits
 * are exact, which holds below 10^18. Above that the double is rounded, and readers disagree on it.
 */
function isRead(decimal: number, magnitude: number, { above, below, even }: RoundingInterval): boolean {
  const distance = Math.abs(decimal - magnitude);
  const limit = decimal >= magnitude ? above : below;
  return distance < limit || (even && distance === limit && decimal < 1e18 && Number.isInteger(decimal));
}

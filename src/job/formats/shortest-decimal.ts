/** The shortest decimal that is read as a given float: the slow reference, for floats of any width. */

/** The decimals that are read as one float: those nearer to it than to its neighbours. */
export interface Reach {
  /** Half the distance to the next float above. */
  readonly above: number;
  /** Half the distance to the next float below: half as much under a power of two. */
  readonly below: number;
  /** A decimal just between two floats is read as the one whose last bit is 0. */
  readonly even: boolean;
}

/**
 * Of the decimals with the fewest digits that are read as `magnitude` (finite, above 0), the nearest, as the double nearest to it.
 * `maxDigits` are enough to tell any two floats of the type apart.
 */
export function shortestDecimal(magnitude: number, reach: Reach, maxDigits: number): number {
  for (let digits = 1; digits < maxDigits; digits++) {
    const [mantissa, exponent] = magnitude.toExponential(digits - 1).split('e') as [string, string];
    const nearest = Number(`${mantissa}e${exponent}`);
    if (isRead(nearest, magnitude, reach)) return nearest;
    if (reach.above === reach.below || nearest > magnitude) continue;
    // The reach goes further up than down: the next decimal above may be inside where the nearest, below, is not.
    const stepped = Number(`${Number(mantissa.replace('.', '')) + 1}e${Number(exponent) - (digits - 1)}`);
    if (isRead(stepped, magnitude, reach)) return stepped;
  }
  return Number(magnitude.toPrecision(maxDigits));
}

/**
 * Differences of such neighbours are exact. A double that lies just between two floats stands for that very decimal only where all decimals
 * of nine digits are exact, which is below 10^18; above, no such decimal lies there, and the double is a rounded one that readers differ on.
 */
function isRead(decimal: number, magnitude: number, { above, below, even }: Reach): boolean {
  const distance = Math.abs(decimal - magnitude);
  const limit = decimal >= magnitude ? above : below;
  return distance < limit || (even && distance === limit && decimal < 1e18 && Number.isInteger(decimal));
}

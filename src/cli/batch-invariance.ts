/** Notices for a model in which rows change each other's answers. */

interface Rows {
  readonly batchInvariant?: boolean | null | undefined;
  readonly microBatch: number;
}

/** Before the run, with what to type. `fixedBatch`: the model's fixed number of rows. */
export function invarianceCaution({ batchInvariant, microBatch }: Rows, fixedBatch: number | null): string[] {
  if (batchInvariant === null) {
    const instead = fixedBatch === null ? '; --micro-batch 1 computes each row alone' : '';
    return [`it is not known whether a row's answer depends on the other rows of its micro-batch${instead}`];
  }
  if (batchInvariant !== false) return [];
  if (fixedBatch !== null && fixedBatch > 1) {
    return [
      `caution: a row's answer depends on the other rows of its micro-batch, and the model takes ${fixedBatch} at a time: the last micro-batch is filled with zeros, and so is a row that fails; export it with an open batch to compute each row alone`,
    ];
  }
  if (microBatch === 1) {
    return [
      "a row's answer depends on the other rows of its micro-batch, so each row is computed alone; --micro-batch N computes N together, with other answers",
    ];
  }
  return [
    `caution: a row's answer depends on the other rows of its micro-batch: in micro-batches of ${microBatch}, or if another row fails, it differs from the answer of the row alone; --micro-batch 1 computes each row alone`,
  ];
}

/** After the run. */
export function invarianceSummary({ batchInvariant, microBatch }: Rows): string[] {
  if (batchInvariant !== false) return [];
  return microBatch === 1
    ? ["each row was computed alone: a row's answer depends on the other rows of its micro-batch"]
    : [
        `a row's answer depends on the other rows of its micro-batch: in micro-batches of ${microBatch} it differs from the answer of the row alone`,
      ];
}

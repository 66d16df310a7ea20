/** Names of layers in tables. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatLayerName } from '../../src/cli/layer-name.js';

test('a long name shows its end, a short one all of itself, and neither redraws the terminal', () => {
  assert.equal(formatLayerName('encoder/layer.3'), 'encoder/layer.3');
  const long = `${'StatefulPartitionedCall/'.repeat(4)}block_16_project_BN/FusedBatchNormV3`;
  assert.equal(formatLayerName(long), '…tionedCall/block_16_project_BN/FusedBatchNormV3');
  assert.equal(formatLayerName(long).length, 48);
  assert.equal(formatLayerName('a\u001b[2J'), 'a\\u001b[2J');
});

"""Writes the tables that tests of the readers read, and what is in them: python table-fixtures.py FOLDER. Needs pyarrow."""
import datetime, decimal, json, os, sys
import pyarrow as pa, pyarrow.feather as feather, pyarrow.parquet as pq

folder = sys.argv[1]
at = lambda name: os.path.join(folder, name)
N = 10
days = [datetime.date(2020, 1, 31), datetime.date(1, 1, 1), datetime.date(9999, 12, 31), None] * 3
table = pa.table({
    'text': pa.array(['a', 'é😀', None, '', '\0'] + ['x' * n for n in range(5)]),
    'large': pa.array([str(n) for n in range(N)], pa.large_string()),
    'dictionary': pa.array(['u', None] * 5).dictionary_encode(),
    'int8': pa.array(range(-5, 5), pa.int8()),
    'int32': pa.array([None] + list(range(N - 1)), pa.int32()),
    'int64': pa.array([2**62 + 1, None, -1] + list(range(N - 3)), pa.int64()),
    'uint64': pa.array([2**64 - 1] + list(range(N - 1)), pa.uint64()),
    'float32': pa.array([n / 3 for n in range(N)], pa.float32()),
    'float64': pa.array([0.1, None] + [1 / 3] * 8),
    'bool': pa.array([True, None] * 5),
    'binary': pa.array([b'\xff\x00\xfe'] * 9 + [None], pa.binary()),
    'fixed': pa.array([b'ab'] * N, pa.binary(2)),
    'decimal': pa.array([decimal.Decimal('-123456789012345678.91'), decimal.Decimal('0.05')] * 5, pa.decimal128(30, 2)),
    'date': pa.array(days[:N]),
    'micro': pa.array([1577836800123456, -1] + [n for n in range(8)], pa.timestamp('us')),
    'nano': pa.array([1577836800123456789 + n for n in range(N)], pa.timestamp('ns', 'UTC')),
    'time': pa.array([datetime.time(1, 2, 3, 4)] * N),
    'floats': pa.array([[1.5, 2.5, float(n)] for n in range(N - 1)] + [None], pa.list_(pa.float32())),
    'pair': pa.array([[n, n + 1] for n in range(N)], pa.list_(pa.float32(), 2)),
    'longs': pa.array([[1, None, 2**60]] * N, pa.list_(pa.int64())),
    'nested': pa.array([[['a'], [], None]] * N),
    'struct': pa.array([{'x': 1, 'y': 'z'}] * N),
    'map': pa.array([[('k', 1), ('l', 2)]] * N, pa.map_(pa.string(), pa.int64())),
    'nothing': pa.nulls(N),
})
for codec in ['none', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4']:
    pq.write_table(table, at(f'{codec}.parquet'), compression=codec, row_group_size=4)
pq.write_table(table, at('page2.parquet'), data_page_version='2.0', version='2.6', row_group_size=3)
pq.write_table(table, at('int96.parquet'), use_deprecated_int96_timestamps=True)
pq.write_table(table.select(['int64', 'int32', 'text', 'float32']), at('encodings.parquet'), use_dictionary=False,
               column_encoding={'int64': 'DELTA_BINARY_PACKED', 'int32': 'DELTA_BINARY_PACKED', 'text': 'DELTA_BYTE_ARRAY', 'float32': 'BYTE_STREAM_SPLIT'})
for codec in ['uncompressed', 'lz4', 'zstd']:
    feather.write_feather(table, at(f'{codec}.feather'), compression=codec, chunksize=4)
with pa.OSFile(at('stream.arrows'), 'wb') as file, pa.ipc.new_stream(file, table.schema) as writer:
    writer.write_table(table, 3)


def plain(value, name):
    if isinstance(value, bytes):
        return {'bytes': list(value)}
    if isinstance(value, bool) or value is None or isinstance(value, (str, float)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else f'{value}n'
    if isinstance(value, (list, tuple)):
        return [plain(one, name) for one in value]
    if isinstance(value, dict):
        return {key: plain(one, name) for key, one in value.items()}
    return str(value)


def row(n):
    found = {}
    for name in table.column_names:
        scalar = table[name][n]
        if name in ('micro', 'nano'):
            whole, digits = (10**6, 6) if name == 'micro' else (10**9, 9)
            seconds, rest = divmod(scalar.value, whole)
            stamp = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
            found[name] = f'{stamp.isoformat()}.{rest:0{digits}}{"Z" if name == "nano" else ""}'
        else:
            found[name] = plain(scalar.as_py(), name)
    return found


json.dump([row(n) for n in range(N)], open(at('expected.json'), 'w'))

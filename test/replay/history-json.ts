/**
 * A history as the JSON that Temporal's tools share, and back. The SDK's own `historyToJSON` does the same, but fails
 * with "type must be a Type" where npm has installed protobufjs more than once: `@temporalio/common` then asks its
 * copy about types that were made by the copy of `@temporalio/proto`. So here that copy itself is asked.
 */

import { createRequire } from 'node:module';
import type { History } from '@temporalio/common/lib/proto-utils.js';

interface ProtoJson {
  toJson: (type: unknown, message: unknown) => unknown;
  fromJson: (type: unknown, json: unknown, options: { ignoreUnknownFields: boolean }) => History;
}

const require = createRequire(createRequire(import.meta.url).resolve('@temporalio/proto'));
const { toJson, fromJson } = require('protobufjs/ext/protojson') as ProtoJson;
const proto = require('@temporalio/proto') as { lookupType(name: string): unknown };
const historyType = proto.lookupType('temporal.api.history.v1.History');

export function historyToJson(history: History): unknown {
  return toJson(historyType, history);
}

export function historyFromJson(json: unknown): History {
  // A newer server may have written fields that this SDK does not know.
  return fromJson(historyType, json, { ignoreUnknownFields: true });
}

import type { Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { searchAttributes } from '../workflows/search-attributes.ts';

const { IndexedValueType } = proto.temporal.api.enums.v1;

/** How a managed service, or a role that may not administer one, answers the operator's calls. */
const REFUSALS = [/* PERMISSION_DENIED */ 7, /* UNIMPLEMENTED */ 12];

/**
 * Registers our search attributes where they are missing; without them no workflow could be started. Adding a
 * name again with another type succeeds in silence and changes nothing, so existing ones are compared.
 * @returns null, or what somebody else has to register where the server does not let us
 * @throws where one exists with another type
 */
export async function registerSearchAttributes(
  connection: Pick<Connection, 'operatorService' | 'workflowService'>,
  namespace: string,
): Promise<string | null> {
  try {
    await register(connection, namespace);
    await awaitUsable(connection, namespace);
    return null;
  } catch (error) {
    if (!REFUSALS.includes((error as { code?: number }).code ?? -1)) throw error;
    return Object.values(searchAttributes)
      .map(({ name, type }) => `${name} ${type}`)
      .join(', ');
  }
}

async function register(
  connection: Pick<Connection, 'operatorService' | 'workflowService'>,
  namespace: string,
): Promise<void> {
  const wanted = Object.values(searchAttributes).map(({ name, type }) => ({
    name,
    type: IndexedValueType[`INDEXED_VALUE_TYPE_${type}`],
  }));
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const clash = wanted.find(({ name, type }) => name in customAttributes && customAttributes[name] !== type);
  if (clash !== undefined) {
    throw new Error(
      `search attribute ${clash.name} exists in namespace ${namespace} with type ${IndexedValueType[customAttributes[clash.name]]}, expected ${IndexedValueType[clash.type]}; remove it with: temporal operator search-attribute remove`,
    );
  }
  const missing = wanted.filter(({ name }) => !(name in customAttributes));
  if (missing.length === 0) return;
  await connection.operatorService.addSearchAttributes({
    namespace,
    searchAttributes: Object.fromEntries(missing.map(({ name, type }) => [name, type])),
  });
}

/** Every part of a server looks at a namespace again within ten seconds or so. */
const USABLE_MILLISECONDS = 60_000;
const INVALID_ARGUMENT = 3;

/** A server may not know at once what was registered, by us or by somebody else a moment ago: no workflow starts then. */
async function awaitUsable(
  { workflowService }: Pick<Connection, 'workflowService'>,
  namespace: string,
): Promise<void> {
  const query = Object.values(searchAttributes)
    .map(({ name }) => `${name} is null`)
    .join(' and ');
  const deadline = Date.now() + USABLE_MILLISECONDS;
  for (;;) {
    try {
      await workflowService.countWorkflowExecutions({ namespace, query });
      return;
    } catch (error) {
      if ((error as { code?: number }).code !== INVALID_ARGUMENT || Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

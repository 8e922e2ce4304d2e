import { type ModelConfiguration, modelConfigurationSchema } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';

/** The configuration that serves, by its key and its parameters; null before the first publish. */
export async function servingChampion(
  db: Db,
): Promise<{ configuration: string; parameters: ModelConfiguration } | null> {
  const row = await db
    .selectFrom('models.champions')
    .select(['configuration', 'parameters'])
    .where('retired_at', 'is', null)
    .executeTakeFirst();
  return row === undefined
    ? null
    : { configuration: row.configuration, parameters: modelConfigurationSchema.parse(row.parameters) };
}

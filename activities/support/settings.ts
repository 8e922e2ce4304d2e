import { type Settings, UsageError, resolveSettings } from '../../config/settings.ts';
import { terminalFailure } from './failures.ts';

/**
 * The settings that a workflow's input asks for.
 * @throws InvalidRequest where there are none such
 */
export function settingsOf(input: { profile: string; overrides?: string[] }): Settings {
  try {
    return resolveSettings(input.profile, input.overrides);
  } catch (error) {
    if (error instanceof UsageError) throw terminalFailure('InvalidRequest', error.message);
    throw error;
  }
}

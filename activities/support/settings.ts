import { type Settings, UsageError, resolveSettings } from '../../config/settings.ts';
import { terminalFailure } from './failures.ts';

/**
 * The settings that a workflow's input asks for.
 * @throws InvalidSettings where there are none such: what stands in a history will not change
 */
export function settingsOf(input: { profile: string; overrides?: string[] }): Settings {
  try {
    return resolveSettings(input.profile, input.overrides);
  } catch (error) {
    if (error instanceof UsageError) throw terminalFailure('InvalidSettings', error.message);
    throw error;
  }
}

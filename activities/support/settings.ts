import { type Settings, UsageError, resolveSettings } from '../../config/settings.ts';
import { terminalFailure } from './failures.ts';

/**
 * What a workflow's input asks for, by a check of what a person may type.
 * @throws InvalidRequest where the check refuses it
 */
export function asRequested<Request>(check: () => Request): Request {
  try {
    return check();
  } catch (error) {
    if (error instanceof UsageError) throw terminalFailure('InvalidRequest', error.message);
    throw error;
  }
}

/**
 * The settings that a workflow's input asks for.
 * @throws InvalidRequest where there are none such
 */
export function settingsOf(input: { profile: string; overrides?: string[] }): Settings {
  return asRequested(() => resolveSettings(input.profile, input.overrides));
}

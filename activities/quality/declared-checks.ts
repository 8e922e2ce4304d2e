import type { Settings } from '../../config/settings.ts';
import type { GateScope, Severity } from '../../database/types/index.ts';
import { checks } from './checks.ts';
import { judge } from './judge.ts';

/** A check as a plan shows it: what must hold, with its thresholds. */
export interface DeclaredCheck {
  check: string;
  severity: Severity;
  expected: string;
}

/** Every check under its gate, in the order in which they are declared. */
export function declaredChecks(settings: Settings): { scope: GateScope; checks: DeclaredCheck[] }[] {
  const scopes = [...new Set(checks.map(({ scope }) => scope))];
  return scopes.map((scope) => ({
    scope,
    checks: checks
      .filter((check) => check.scope === scope)
      .map((check) => {
        const { severity, expected } = judge(check, { observed: null }, settings);
        return { check: check.name, severity, expected };
      }),
  }));
}

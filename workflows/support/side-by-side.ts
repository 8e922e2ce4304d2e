import { CancellationScope } from '@temporalio/workflow';

/**
 * Runs branches that need nothing of each other to their ends. Where one fails the others are cancelled, and waited for: nothing
 * is at work any more when the failure is told.
 * @throws what the first that failed has thrown
 */
export function sideBySide(...branches: (() => Promise<unknown>)[]): Promise<void> {
  return CancellationScope.cancellable(async () => {
    const running = branches.map((branch) => branch());
    try {
      await Promise.all(running);
    } catch (error) {
      CancellationScope.current().cancel();
      await Promise.allSettled(running);
      throw error;
    }
  });
}

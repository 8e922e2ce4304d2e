/** Everything a worker registers. Names are part of histories: see docs/changing-workflows.md before renaming one. */

export { abTest } from './ab-test.ts';
export { checkSource } from './check-source.ts';
export { deliverAlerts } from './deliver-alerts.ts';
export { gridSearch } from './grid-search.ts';
export { nightlyPipeline } from './nightly-pipeline.ts';
export { planNight } from './plan-night.ts';
export { publishRecommendations } from './publish-recommendations.ts';
export { refreshFeatures } from './refresh-features.ts';
export { rerunNight } from './rerun-night.ts';
export { speedLayer } from './speed-layer.ts';
export { testAlert } from './test-alert.ts';
export { watchdog } from './watchdog.ts';
export { rollbackModel } from './rollback-model.ts';

/** What JavaScript calls. AssemblyScript, compiled by `scripts/build-kernel.mjs`. */

export { gramOfRows, solveBand, solveRows, solverBytes } from './als';
export { rankBytes, rankQueries } from './rank';

/** Every activity call of a first night. */
export const ACTIVITIES = [
  'beginRun',
  'buildMovieFeatures',
  'buildSilver',
  'buildUserFeatures',
  'buildUserGenrePreferences',
  'compareArms',
  'computeMovieStats',
  'computeSimilarMovies',
  'computeTrending',
  'evaluateTwin als 3',
  'evaluateTwin als 4',
  'evaluateTwin popular',
  'finishRun',
  'ingestBronze',
  'publishVersion',
  'refitModel',
  'retireVersions',
  'runGate bronze',
  'runGate features',
  'runGate model',
  'runGate publish',
  'runGate silver',
  'runGate source',
  'scoreRecommendations',
  'selectModel',
  'splitHoldout',
];

/** In the directory of a faulty worker: the name of the activity to be held up. */
export const HELD_FILE = 'held-activity';

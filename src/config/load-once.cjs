'use strict'

// What the published package has in place of load-once.ts. Bundlers follow a literal `require` and
// nothing else, and what makes CommonJS of a module (Jest, bundlers) knows no `import.meta`.

exports.yaml = () => require('yaml')
exports.dotenv = () => require('dotenv')
exports.knexPostgres = () => require('knex/lib/dialects/postgres')
exports.here = () => __filename

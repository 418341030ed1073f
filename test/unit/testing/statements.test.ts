import { expect, test } from 'vitest'
import { statementsIn } from '../../support/statements.ts'

const log = `# 10   <># LOG:  database system is ready to accept connections
# 11 app blog <my app># LOG:  statement: SELECT 1,
\t  2
# 11 app blog <my app># DETAIL:  parameters: none
# 12 app other <my app># LOG:  statement: SELECT 'elsewhere'
# 13 app blog <segregato/test-helper># LOG:  statement: SELECT 'helper'
# 14 app blog <># LOG:  execute <unnamed>: INSERT INTO t VALUES ($1)
# 14 app blog <># ERROR:  cannot execute INSERT in a read-only transaction
# 14 app blog <># STATEMENT:  INSERT INTO t VALUES ($1)
# 15 app blog <a># b># ERROR:  syntax error at or near "SELEC"
# 15 app blog <a># b># STATEMENT:  SELEC
# 16 app blog <x># LOG:  execute fetch from <unnamed>/C_1: SELECT * FROM t
# 16 app blog <x># FATAL:  terminating connection due to conflict with recovery
`

test('statements of one database, each once, with what the server said about it', () => {
  expect(statementsIn('master', log, 'blog')).toEqual([
    { server: 'master', applicationName: 'my app', user: 'app', pid: 11, text: 'SELECT 1,\n  2' },
    {
      server: 'master',
      applicationName: '',
      user: 'app',
      pid: 14,
      text: 'INSERT INTO t VALUES ($1)',
      error: 'cannot execute INSERT in a read-only transaction',
    },
    {
      server: 'master',
      applicationName: 'a># b',
      user: 'app',
      pid: 15,
      text: 'SELEC',
      error: 'syntax error at or near "SELEC"',
    },
    { server: 'master', applicationName: 'x', user: 'app', pid: 16, text: 'SELECT * FROM t' },
  ])
})
